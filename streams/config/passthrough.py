"""Settings that are handed to librdkafka as they are, and those that are not."""

from __future__ import annotations

import re
from collections.abc import Mapping

FIXED_KAFKA: Mapping[str, str] = {
    "isolation.level": "state and outputs are read committed: an aborted decision would count",
    "enable.auto.commit": "offsets are committed by the transaction that carries the decisions",
    "auto.commit.enable": "offsets are committed by the transaction that carries the decisions",
    "auto.commit.interval.ms": "offsets are committed by the transaction that carries them",
    "enable.auto.offset.store": "offsets are committed by the transaction that carries them",
    "offset.store.method": "offsets are committed by the transaction that carries the decisions",
    "acks": "a withdrawal that only the leader has is lost with it (guarantee I1)",
    "request.required.acks": "a withdrawal that only the leader has is lost with it (guarantee I1)",
    "enable.idempotence": "a retried write would stand twice (guarantee I3)",
    "enable.gapless.guarantee": "it turns a retry into the end of the gate",
    "partitioner": "one partitioner everywhere, murmur2: else a request would find no STOP",
    "partitioner_cb": "one partitioner everywhere, murmur2: else a request would find no STOP",
    "group.protocol": "the gate's hand-over of partitions is written for the classic protocol",
    "group.remote.assignor": "the gate's hand-over is written for the classic protocol",
    "partition.assignment.strategy": "all gates must agree on one; the gate sets it",
    "group.id": "set group_id instead",
    "group.instance.id": "set instance_id instead",
    "transactional.id": "it comes from instance_id: a second one would not fence the first",
    "transaction.timeout.ms": "set transaction_timeout_ms instead",
    "session.timeout.ms": "set session_timeout_ms instead",
    "bootstrap.servers": "set bootstrap_servers instead",
    "metadata.broker.list": "set bootstrap_servers instead",
    "auto.offset.reset": "an offset out of range is loss and must stop the partition, not skip",
    "enable.partition.eof": "the barrier knows by it that a partition's end was reached",
    "allow.auto.create.topics": "topics come from `consent-gate topics apply`",
    "message.max.bytes": "outputs take larger messages than inputs, else one would abort for ever",
    "message.copy.max.bytes": "the gate sets how messages are handed over",
    "default.topic.config": "write its settings directly under kafka",
    "logger": "the gate's own log takes what librdkafka logs",
    "error_cb": "it takes a function, which a file cannot hold",
    "throttle_cb": "it takes a function, which a file cannot hold",
    "stats_cb": "it takes a function, which a file cannot hold",
    "oauth_cb": "it takes a function; use sasl.oauthbearer.method=oidc",
    "on_delivery": "it takes a function, which a file cannot hold",
    "delivery.report.only.error": "the gate sets which deliveries it hears of",
    "on_commit": "it takes a function, which a file cannot hold",
}
"""librdkafka settings that the guarantees rest on, each with the reason why it is fixed."""

_SECRET = re.compile(
    r"password|secret|passphrase|jaas|token|credential|key\.pem|oauthbearer\.config|user\.info"
)


def is_secret(key: str) -> bool:
    """Whether the value of a librdkafka setting must never be shown."""
    return _SECRET.search(key) is not None
