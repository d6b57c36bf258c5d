"""
What a Kafka error means here: which branch of the error tree the caller must take.

librdkafka says of each error whether it is fatal, asks for an abort, or may be retried
(https://github.com/confluentinc/librdkafka/blob/master/INTRODUCTION.md#transactional-producer-api).
"""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from streams.errors import (
    Aborted,
    ConfigError,
    ConsentGateError,
    Fenced,
    Indefinite,
    KafkaUnavailable,
    StateLost,
    TopicsUnfit,
)

_SILENCE = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._WAIT_COORD,
        KafkaError._WAIT_CACHE,
        KafkaError._RETRY,
        KafkaError._NOENT,
        KafkaError._UNKNOWN_BROKER,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_CONTROLLER,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.CONCURRENT_TRANSACTIONS,
        KafkaError.THROTTLING_QUOTA_EXCEEDED,
    }
)
_LOSS = frozenset(
    {KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION}
)
_REFUSALS = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.INVALID_TRANSACTION_TIMEOUT,
        KafkaError.INVALID_SESSION_TIMEOUT,
        KafkaError.POLICY_VIOLATION,
    }
)
_ABSENCE = frozenset(
    {
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)


def meaning_of(error: KafkaException | KafkaError, doing: str) -> ConsentGateError:
    """
    Return the error to raise; ``doing`` says in words what failed, naming no person.

    * :class:`Fenced`: another consumer runs under the same ``group.instance.id``.
    * :class:`Aborted`: the transaction must be aborted. Raise it only after ``abort_transaction``
      has returned: until then nobody has confirmed anything.
    * :class:`StateLost`: the offset asked for is no longer there.
    * :class:`KafkaUnavailable`: the same call may be made again.
    * :class:`ConfigError`, :class:`TopicsUnfit`: the cluster refuses or lacks something.
    * :class:`Indefinite`: all else, fatal errors of a producer among them. A fenced *producer* is
      one of these: the coordinator fences a producer also when its transaction timed out, which a
      paused process sees on waking; whether there is a twin, the group's static membership tells.

    The text holds librdkafka's own, which names brokers, topics and partitions, never a record.
    """
    cause = error.args[0] if isinstance(error, KafkaException) else error
    if not isinstance(cause, KafkaError):
        return Indefinite(f"{doing}: {cause}")
    text = f"{doing}: {cause.str()} ({cause.name()})"
    code = cause.code()
    if code == KafkaError.FENCED_INSTANCE_ID:
        return Fenced(f"{text}. Give each gate an instance_id of its own.")
    if cause.fatal():
        return Indefinite(text)
    if cause.txn_requires_abort():
        return Aborted(text)
    if code in _LOSS:
        return StateLost(text)
    if code in _REFUSALS:
        return ConfigError(text)
    if code in _ABSENCE:
        return TopicsUnfit(f"{text}. Run `consent-gate topics check`.")
    if cause.retriable() or code in _SILENCE:
        return KafkaUnavailable(text)
    return Indefinite(text)
