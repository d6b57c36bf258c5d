"""
librdkafka configurations, with the settings that the guarantees rest on fixed.

Each is built in three layers: defaults that suit a stream of small messages, what the company set
under ``kafka``, and last what must not be otherwise (:data:`streams.config.FIXED_KAFKA`, refused
when the settings were read). The names are librdkafka's
(https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md).

librdkafka's own log goes to the logger ``streams.kafka.librdkafka`` at debug, never to standard
error. Its lines come while the client is polled.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from streams.config import Settings
from streams.errors import ConfigError, KafkaUnavailable

_Client = TypeVar("_Client")

CLIENT_MAX_BYTES = 16 * 1024 * 1024
"""
The largest message a producer here hands over, before compression.

What a topic takes is bounded by the broker, after compression. Were this the same bound, a request
that came in well compressed could not be passed on.
"""

LEADERS_ASKED_MS = 2_000
"""
How often a client asks who leads the partitions it uses. librdkafka's default is 300,000.

A client that does not ask stays with a leader that hangs until a request of its own has timed out:
a gate's clients one after the other, for ``socket.timeout.ms`` each. Seen where a broker hung whose
partitions had other leaders 5 s later: a gate stood still for 47 s, and for 12 s since.
"""

LONGEST_TURN_MS = 60_000
"""A member that takes nothing for longer leaves the group. Twice of what makes ``/livez`` fail."""

_WHO_ARE_YOU = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
    }
)

_LOGGER = logging.getLogger("streams.kafka.librdkafka")

_PROPERTY_NAMED = re.compile(r'configuration property[: ]+"([^"]+)"', re.IGNORECASE)


class _LibrdkafkaLog:
    """
    Takes librdkafka's log lines. They name brokers, topics and errors, never a record's content.

    Whatever severity librdkafka gives them, they are debug lines here: it calls a broker that
    restarts an error, and the client goes on. What matters reaches the caller as an error.
    """

    def log(self, _level: int, message: str, *values: object) -> None:
        _LOGGER.debug(message, *values)


def admin_config(settings: Settings) -> dict[str, Any]:
    """Return the configuration of an ``AdminClient``."""
    return _config(settings, {}, {})


def producer_config(settings: Settings, transactional_id: str | None = None) -> dict[str, Any]:
    """
    Return the configuration of a producer: idempotent, ``acks=all``, keys placed by murmur2.

    With ``transactional_id`` it is a transactional one, whose transactions the coordinator aborts
    after ``transaction_timeout_ms``. Without, a message that is not acknowledged by then fails.

    Defaults that may be overridden: ``linger.ms`` 5 and up to 10,000 messages a batch, since single
    small messages cost the broker far more; a queue of 1,000,000 messages or 512 MiB, so that a
    whole transaction fits and ``produce`` never finds it full; ``retry.backoff.ms`` 20 for a
    transactional one, since for so long (100 by default) librdkafka puts off the offsets of a
    transaction that meets CONCURRENT_TRANSACTIONS.
    """
    defaults: dict[str, Any] = {
        "linger.ms": 5,
        "batch.num.messages": 10_000,
        "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": 512 * 1024,
        "compression.type": "lz4",
    }
    fixed: dict[str, Any] = {
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "message.max.bytes": CLIENT_MAX_BYTES,
    }
    if transactional_id is None:
        defaults["message.timeout.ms"] = settings.transaction_timeout_ms
    else:
        fixed["transactional.id"] = transactional_id
        fixed["transaction.timeout.ms"] = settings.transaction_timeout_ms
        defaults["retry.backoff.ms"] = 20
        # librdkafka refuses more than the transaction's time-out less 100 ms.
        defaults["socket.timeout.ms"] = min(
            _SOCKET_TIMEOUT_MS, settings.transaction_timeout_ms - 100
        )
    return _config(settings, defaults, fixed)


def consumer_config(
    settings: Settings, group_id: str, instance_id: str | None = None
) -> dict[str, Any]:
    """
    Return the configuration of a consumer: read committed, nothing committed by itself.

    An offset that is not there is an error, never a jump. The end of a partition is reported, as
    ``PARTITION_EOF``. With ``instance_id`` the member is static: a quick restart moves no
    partitions, and a second member of that name is fenced. The assignor is the caller's to add.
    """
    defaults: dict[str, Any] = {
        # librdkafka waits a whole second before it fetches again for a queue that was full, and
        # half a second after a fetch error: both would be stalls at the gate's pace.
        "fetch.queue.backoff.ms": 5,
        "fetch.error.backoff.ms": 100,
        # A fetch that waits at the broker for more does not know of partitions that are assigned,
        # sought or resumed meanwhile: with the default of 500 ms a takeover would stall on it.
        "fetch.wait.max.ms": 50,
        # So long librdkafka (2.16) waits for an answer when it joins the group, whatever
        # socket.timeout.ms says: a coordinator that hung just then would keep the gate without
        # partitions for the five minutes that are the default. No turn of the loop takes as long.
        "max.poll.interval.ms": max(
            LONGEST_TURN_MS, settings.session_timeout_ms, 2 * settings.transaction_timeout_ms
        ),
    }
    fixed: dict[str, Any] = {
        "group.id": group_id,
        "group.protocol": "classic",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "allow.auto.create.topics": False,
        "session.timeout.ms": settings.session_timeout_ms,
    }
    if instance_id is not None:
        fixed["group.instance.id"] = instance_id
    return _config(settings, defaults, fixed)


def reader_config(settings: Settings) -> dict[str, Any]:
    """
    Return the configuration of a consumer that joins no group: it is assigned partitions only.

    librdkafka asks for a group name all the same. It starts with ``group_id``, so that an access
    list by prefix covers it.
    """
    return consumer_config(settings, f"{settings.group_id}.reader")


def opened(client: Callable[..., _Client], config: Mapping[str, Any]) -> _Client:
    """
    Make a client: ``opened(Producer, producer_config(settings))``.

    Raises :class:`ConfigError` naming the setting that librdkafka does not take; never its value.
    """
    try:
        return client(config)
    except KafkaException as error:
        named = _PROPERTY_NAMED.search(str(error))
        which = f"kafka: {named[1]}" if named else f"kafka: {error.args[0].name()}"
        raise ConfigError(
            f"{which}: librdkafka does not take this setting or its value; see its CONFIGURATION.md"
        ) from None


class Complaints:
    """
    What librdkafka complained of in the background: a client's ``error_cb``.

    A refused password would otherwise look like a broker that does not answer.
    """

    def __init__(self) -> None:
        self._last: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        """Take note. That all brokers are down says nothing that the others do not."""
        if error.name() != "_ALL_BROKERS_DOWN":
            self._last = error

    def refusal(self) -> ConfigError | None:
        """
        Give the error where the last complaint is that a broker refuses this login; else None.

        Asked again it would be refused again: that takes a person.
        """
        if self._last is None or self._last.code() not in _WHO_ARE_YOU:
            return None
        return ConfigError(
            f"Kafka refuses the login: {self._last.str()}. Set sasl.username, sasl.password "
            "and sasl.mechanism under `kafka` as the cluster has them (CONSENT_GATE_KAFKA keeps "
            "them out of the file)."
        )

    def explaining(self, silence: KafkaUnavailable) -> KafkaUnavailable:
        """Add the last complaint, with the broker's address in it, if there was one."""
        if self._last is None:
            return silence
        return KafkaUnavailable(f"{silence}. {self._last.str()}")


@contextmanager
def administering(settings: Settings) -> Iterator[AdminClient]:
    """
    Give an ``AdminClient`` for a command.

    A :class:`KafkaUnavailable` that passes through here says also what librdkafka complained of
    last; where that was a refused login it becomes a :class:`ConfigError`.
    """
    complaints = Complaints()
    admin = opened(AdminClient, admin_config(settings) | {"error_cb": complaints})
    try:
        yield admin
    except KafkaUnavailable as silence:
        admin.poll(0)
        raise complaints.refusal() or complaints.explaining(silence) from silence


_SOCKET_TIMEOUT_MS = 10_000


def _config(
    settings: Settings, defaults: Mapping[str, Any], fixed: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "client.id": f"consent-gate-{settings.instance_id or 'cli'}",
        # A broker that went away is noticed and found again within seconds, not a minute.
        "socket.timeout.ms": _SOCKET_TIMEOUT_MS,
        "socket.connection.setup.timeout.ms": 5_000,
        "reconnect.backoff.max.ms": 1_000,
        "socket.keepalive.enable": True,
        "topic.metadata.refresh.interval.ms": LEADERS_ASKED_MS,
        **defaults,
        **settings.kafka,
        **fixed,
        "bootstrap.servers": settings.bootstrap_servers,
        "logger": _LibrdkafkaLog(),
    }
