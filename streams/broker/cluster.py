"""
A real Apache Kafka on this machine, for the demo, for tests and for a laptop. Never for production.

::

    with EmbeddedKafka() as kafka:
        producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})

One broker is ready 3 s after the start and takes some 250 MB.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.broker.broker_process import BrokerProcess
from streams.broker.data_folder import claimed
from streams.broker.jars import fetch_jars, kafka_version, locked_jars
from streams.broker.jvm import find_java
from streams.broker.ports import free_ports, is_taken
from streams.broker.server_properties import LOOPBACK, BrokerAddress, server_properties
from streams.errors import EmbeddedBrokerError

READY_WITHIN_SECONDS = 120
"""On two cores one broker takes 3 s and three take 6; on a busy machine several times that."""

STOP_WITHIN_SECONDS = 10
"""Between SIGTERM and SIGKILL. A killed broker loses nothing, it only starts more slowly."""


class EmbeddedKafka:
    """
    A cluster of one or three brokers on loopback, each broker and controller (KRaft).

    Brokers are named by their node ids, 1 to 3, which are the ids in Kafka's metadata: the leader
    of a partition can be given to :meth:`kill_broker` as it is. With three, topics without settings
    of their own have three replicas and `min.insync.replicas` 2. No topic makes itself.

    For one thread at a time. When this process dies, however it dies, the brokers end within about
    three seconds, and temporary data are removed.
    """

    def __init__(
        self,
        brokers: Literal[1, 3] = 1,
        port: int | None = None,
        data_dir: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """
        Say what to start; start nothing.

        ``port`` is the first broker's, the others take the next ones; free ports if None.
        ``data_dir`` keeps the data for a next start with the same number of brokers; without it
        they are temporary. ``settings`` are server properties that override this package's own.
        """
        self._count = brokers
        self._port = port
        self._data_dir = data_dir
        self._settings = dict(settings or {})
        self._brokers: dict[int, BrokerProcess] = {}
        self._temporary_folder: Path | None = None

    def start(self) -> None:
        """
        Start all brokers and wait until each answers and knows the others. Not while running.

        Blocks about 3 s, longer the first time on a machine, when Kafka is downloaded.

        Raises EmbeddedBrokerError: a port is taken, no jars, no JVM, a data folder that belongs to
        something else, a broker that ends or is not ready within two minutes. Nothing is left
        running.
        """
        if self._brokers:
            raise EmbeddedBrokerError("The embedded Kafka has been started already.")
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """
        End all brokers (SIGTERM, after 10 s SIGKILL), remove temporary data. Harmless if stopped.

        Brokers on temporary data are killed at once: nobody will miss a clean log.
        """
        polite = self._temporary_folder is None
        for broker in self._brokers.values():
            broker.send(signal.SIGCONT)  # a paused process takes no SIGTERM
            broker.send(signal.SIGTERM if polite else signal.SIGKILL)
        deadline = time.monotonic() + STOP_WITHIN_SECONDS
        for broker in self._brokers.values():
            broker.await_end(max(0.0, deadline - time.monotonic()))
        self._brokers = {}
        if self._temporary_folder is not None:
            shutil.rmtree(self._temporary_folder, ignore_errors=True)
            self._temporary_folder = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` of every broker, comma-separated, whether it runs or not."""
        if not self._brokers:
            raise EmbeddedBrokerError("The embedded Kafka has not been started.")
        return ",".join(broker.address.listener for broker in self._brokers.values())

    @property
    def pids(self) -> dict[int, int]:
        """The process id of each running broker's JVM, by node id."""
        return {node: pid for node, one in self._brokers.items() if (pid := one.pid) is not None}

    def check_running(self) -> None:
        """Raise EmbeddedBrokerError if a broker has ended that was not ended by this object."""
        for node, broker in self._brokers.items():
            if broker.failed:
                tail = broker.log_tail()
                if f":{broker.address.port}: Address already in use" in tail:
                    # Somebody was quicker since the port was found free.
                    raise EmbeddedBrokerError(_taken(broker.address.port))
                raise EmbeddedBrokerError(f"Broker {node} has ended.\n{tail}")

    def kill_broker(self, node_id: int) -> None:
        """End a broker as a power cut would (SIGKILL). Returns when it is gone."""
        self._brokers[node_id].send(signal.SIGKILL)
        self._brokers[node_id].await_end(STOP_WITHIN_SECONDS)

    def stop_broker(self, node_id: int) -> None:
        """
        End a broker as an administrator would (SIGTERM, after 10 s SIGKILL); wait until it is gone.

        It hands its partitions over first, which needs two of three brokers.
        """
        self._brokers[node_id].send(signal.SIGCONT)
        self._brokers[node_id].send(signal.SIGTERM)
        self._brokers[node_id].await_end(STOP_WITHIN_SECONDS)

    def start_broker(self, node_id: int) -> None:
        """Start a broker that was ended, on its port and data, and wait until it answers."""
        self._brokers[node_id].start()
        self._await_ready(node_id, {node_id}, time.monotonic() + READY_WITHIN_SECONDS)

    def pause_broker(self, node_id: int) -> None:
        """Freeze a broker (SIGSTOP): its connections stay open and nothing is answered."""
        self._brokers[node_id].send(signal.SIGSTOP)

    def resume_broker(self, node_id: int) -> None:
        """Let a paused broker go on (SIGCONT)."""
        self._brokers[node_id].send(signal.SIGCONT)

    def _start(self) -> None:
        addresses = self._free_addresses()
        jars = locked_jars()
        paths = fetch_jars(jars)
        java = find_java()
        if self._data_dir is None:
            made = tempfile.mkdtemp(prefix="consent-gate-kafka-")
            folder = self._temporary_folder = Path(made).resolve()
        else:
            folder = self._data_dir.resolve()
        identity = claimed(folder, kafka_version(jars), self._count)
        for address in addresses:
            own = folder / f"broker-{address.node_id}"
            properties = server_properties(address, addresses, own / "log", self._settings)
            self._brokers[address.node_id] = BrokerProcess(
                java, paths, address, properties, own, self._temporary_folder
            )
        with ThreadPoolExecutor(self._count) as pool:
            list(pool.map(lambda broker: broker.format(identity.cluster_id), self._all()))
        for broker in self._all():
            broker.start()
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        for node in self._brokers:
            self._await_ready(node, set(self._brokers), deadline)

    def _all(self) -> Iterator[BrokerProcess]:
        yield from self._brokers.values()

    def _free_addresses(self) -> list[BrokerAddress]:
        if self._port is None:
            ports = free_ports(self._count)
        else:
            ports = [self._port + i for i in range(self._count)]
            for port in ports:
                if is_taken(port):
                    raise EmbeddedBrokerError(_taken(port))
        controller_ports = free_ports(self._count, but_not=ports)
        return [
            BrokerAddress(node_id, port, controller_port)
            for node_id, (port, controller_port) in enumerate(
                zip(ports, controller_ports, strict=True), start=1
            )
        ]

    def _await_ready(self, node_id: int, peers: set[int], deadline: float) -> None:
        """
        Wait until a broker answers and its metadata has ``peers``.

        A broker takes requests only after the controller has unfenced it (BrokerServer.startup), so
        an answer from its own port means that it is in.
        """
        broker = self._brokers[node_id]
        admin = AdminClient(
            {
                "bootstrap.servers": broker.address.listener,
                "reconnect.backoff.ms": 50,
                "reconnect.backoff.max.ms": 200,
                "log_level": 0,  # refused connections are what we wait through
            }
        )
        while time.monotonic() < deadline:
            self.check_running()
            try:
                if peers <= admin.list_topics(timeout=1).brokers.keys():
                    return
            except KafkaException:
                continue
        raise EmbeddedBrokerError(
            f"Broker {node_id} was not ready within {READY_WITHIN_SECONDS} s.\n{broker.log_tail()}"
        )


def _taken(port: int) -> str:
    return (
        f"Port {port} on {LOOPBACK} is taken by another process.\n"
        "Stop that one, or choose another port."
    )
