"""Pure: the configuration that each embedded broker is started with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"

_INTERNAL_TOPIC_PARTITIONS = 4
"""Of `__consumer_offsets` and `__transaction_state`: Kafka's 50 each take time and files."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where one broker listens, on loopback only."""

    node_id: int
    port: int
    """For clients and for the other brokers."""
    controller_port: int

    @property
    def listener(self) -> str:
        return f"{LOOPBACK}:{self.port}"


def server_properties(
    address: BrokerAddress,
    cluster: Sequence[BrokerAddress],
    log_folder: Path,
    settings: Mapping[str, str],
) -> dict[str, str]:
    """
    Return the properties of the broker at ``address`` in ``cluster``; ``settings`` override them.

    Every node is broker and controller (KRaft, combined mode). With three brokers everything is
    replicated three times with `min.insync.replicas` 2, with one nothing is.
    """
    replicas = str(len(cluster))
    in_sync = "2" if len(cluster) > 1 else "1"
    voters = ",".join(f"{one.node_id}@{LOOPBACK}:{one.controller_port}" for one in cluster)
    return {
        "node.id": str(address.node_id),
        "process.roles": "broker,controller",
        "listeners": f"PLAINTEXT://{address.listener},"
        f"CONTROLLER://{LOOPBACK}:{address.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{address.listener}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": voters,
        "log.dirs": str(log_folder),
        # As strict as a company's cluster should be.
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        # Quick to start and to answer.
        "offsets.topic.num.partitions": str(_INTERNAL_TOPIC_PARTITIONS),
        "transaction.state.log.num.partitions": str(_INTERNAL_TOPIC_PARTITIONS),
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        # The coordinator's check for transactions past their time-out: Kafka's 10 s would make the
        # successor of a dead gate wait that much longer.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        # A killed broker keeps its partitions until its session ends: Kafka's 9 s, made shorter.
        # Much below 5 s a busy two-core machine loses healthy brokers.
        "broker.session.timeout.ms": "5000",
        "broker.heartbeat.interval.ms": "1000",
        # Room for topics that set their own `max.message.bytes`.
        "message.max.bytes": str(8 * 2**20),
        "replica.fetch.max.bytes": str(8 * 2**20),
        # Small: one machine, shared with everything else.
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "4",
        "log.cleaner.threads": "1",
        "log.cleaner.dedupe.buffer.size": str(8 * 2**20),
        "log.cleaner.backoff.ms": "1000",
        **settings,
    }


def properties_text(properties: Mapping[str, str]) -> str:
    """
    Return ``properties`` in the format of `java.util.Properties`.

    Java reads such files as ISO 8859-1, so anything outside ASCII is escaped in UTF-16 units.
    """
    return "".join(f"{_escaped(key)}={_escaped(value)}\n" for key, value in properties.items())


def _escaped(text: str) -> str:
    units = text.encode("utf-16-be")
    characters = []
    for high, low in zip(units[::2], units[1::2], strict=True):
        if high or not 0x20 <= low < 0x7F:
            characters.append(f"\\u{high:02x}{low:02x}")
        elif chr(low) in "\\=:#! ":
            characters.append(f"\\{chr(low)}")
        else:
            characters.append(chr(low))
    return "".join(characters)
