"""
How fast the gate is, against a floor in the same run: ``make bench``.

The *floor* is a transactional confluent-kafka loop that consumes, produces the same bytes and
commits, and does no work at all: what the broker and the client leave of these cores. The *gate* is
the product: barrier, join with the state of 500,000 subjects, default policy, chain, sealing of
what is held (a third of the requests, by a paused campaign), changelog and Position, exactly once.
Half of the bodies are personalised, half repeat within their campaign.

A second row has 20 partitions: transaction markers are what scales worst. Last, at 2,000 requests
a second, the time from a request's append to its arrival at a read-committed reader.

Prints a table and writes ``bench/results/gate.json``; ``bench/hot_path.py`` says where the time of
the gate's own thread goes. Absolute figures are this machine's; the ratio to the floor is what to
compare.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import traffic
import yaml
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from streams import __version__
from streams.broker.cluster import EmbeddedKafka
from streams.codec.codec import Codecs, open_codecs
from streams.config import Settings
from streams.gate.topics import GateTopics
from streams.kafka.clients import admin_config, producer_config, reader_config
from streams.kafka.topics import apply
from streams.sealing.secrets_folder import init_secrets

FLOOR_BATCH = 10_000
RESULTS = Path(__file__).parent / "results" / "gate.json"
QUIET = Console(stderr=True)

BETWEEN_SCRAPES_SECONDS = 0.25
"""A scrape costs the gate's process 3 ms: twenty a second, as once, took a twentieth of its time,
and as much of the benchmark's own. A Prometheus asks every 15 s."""

WARM_UP_SECONDS = 2.0
"""The first half second or so is the JVM's: what the broker does for the first time is slow."""


@dataclass
class Row:
    """One row of the table: the gate and its floor on the same partitions."""

    partitions: int
    requests: int
    subjects: int
    floor_per_second: float
    gate_per_second: float
    fold_per_second: float

    @property
    def ratio(self) -> float:
        return self.gate_per_second / self.floor_per_second


class Ground:
    """Topics and keys of one row."""

    def __init__(self, kafka: EmbeddedKafka, folder: Path, partitions: int) -> None:
        self.folder = folder
        init_secrets(folder / "secrets")
        self.settings = Settings.model_validate(
            {
                "bootstrap_servers": kafka.bootstrap_servers,
                "topic_prefix": f"bench{partitions}.",
                "partitions": partitions,
                "state_dir": folder / "state",
                "secrets_dir": folder / "secrets",
                "http_port": 0,
                "instance_id": "bench",
            }
        )
        self.topics = GateTopics.of(self.settings.names)
        self.codecs: Codecs = open_codecs()
        self.admin = AdminClient(admin_config(self.settings))
        apply(self.settings, self.admin)
        self.producer = Producer(producer_config(self.settings))
        self.config = folder / "consent-gate.yaml"
        values = self.settings.model_dump(mode="json", exclude_defaults=True)
        self.config.write_text(yaml.safe_dump(values))

    def write(self, topic: str, key: str, value: bytes) -> None:
        while True:
            try:
                self.producer.produce(topic, value, key.encode())
                break
            except BufferError:
                self.producer.poll(0.1)
        self.producer.poll(0)

    def flush(self) -> None:
        if self.producer.flush(120):
            raise SystemExit("Kafka did not take the benchmark's input within two minutes.")

    def consents(self, subjects: int) -> None:
        now = int(time.time() * 1000)
        for event in traffic.consents(subjects, now):
            self.write(self.topics.consent, event.subject, self.codecs.consent_events.encode(event))
        pause = traffic.pause(now)
        key = f"{pause.campaign_id}#{pause.pause_id}"
        self.write(self.topics.campaigns, key, self.codecs.campaigns.encode(pause))
        self.flush()

    def requests(self, count: int, subjects: int, *, seed: int = 1) -> list[tuple[str, bytes]]:
        """Encode ``count`` requests; returned, so that pacing does not pay for encoding."""
        now = int(time.time() * 1000)
        encode = self.codecs.requests.encode
        drawn = traffic.requests(count, subjects, now, seed=seed)
        return [(request.recipient, encode(request)) for request in drawn]


def floor(ground: Ground, count: int) -> float:
    """Requests a second through a loop that does no work."""
    settings, topic = ground.settings, ground.topics.requests
    out = f"{settings.topic_prefix}floor"
    made = ground.admin.create_topics([NewTopic(out, settings.partitions, 1)])
    made[out].result(30)
    producer = Producer(producer_config(settings, f"{settings.topic_prefix}floor"))
    producer.init_transactions(30)
    consumer = Consumer({**reader_config(settings), "enable.partition.eof": False})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(settings.partitions)])
    metadata = consumer.consumer_group_metadata()
    done, began = 0, time.perf_counter()
    while done < count:
        messages = consumer.consume(FLOOR_BATCH, 0.1)
        if not messages:
            continue
        producer.begin_transaction()
        for message in messages:
            producer.produce(out, message.value(), message.key(), message.partition() or 0)
        producer.poll(0)
        offsets = {m.partition() or 0: (m.offset() or 0) + 1 for m in messages}
        producer.send_offsets_to_transaction(
            [TopicPartition(topic, p, o) for p, o in offsets.items()], metadata
        )
        producer.commit_transaction()
        done += len(messages)
    seconds = time.perf_counter() - began
    consumer.close()
    return done / seconds


class RunningGate:
    """A gate in a process of its own, watched through its metrics."""

    def __init__(self, ground: Ground) -> None:
        command = [sys.executable, "-c", "from streams.cli.main import main; main()"]
        self.process = subprocess.Popen(
            [*command, "--config", str(ground.config), "gate"],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = ""
        for line in self.process.stderr or ():
            if line.startswith("metrics at "):
                self.url = line.split()[2].rstrip(",")
                break
        if not self.url:
            raise SystemExit("The gate did not start: run it by hand with the same configuration.")
        self._drain = subprocess.Popen(
            ["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL
        )

    def counted(self, metric: str) -> float:
        """The sum over all series of one metric."""
        with urllib.request.urlopen(self.url, timeout=10) as answer:
            text = answer.read().decode()
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line.startswith((metric + "{", metric + " "))
        )

    def until(self, metric: str, target: float, what: str) -> float:
        """Wait for a counter; return when it got there."""
        start = self.counted(metric)
        with Progress(console=QUIET, transient=True) as progress:
            bar = progress.add_task(what, total=target - start)
            while True:
                if self.process.poll() is not None:
                    raise SystemExit("The gate ended in the middle of the benchmark.")
                value = self.counted(metric)
                now = time.perf_counter()
                progress.update(bar, completed=value - start)
                if value >= target:
                    return now
                time.sleep(BETWEEN_SCRAPES_SECONDS)

    def ready(self) -> float:
        """Wait until it decides; return when."""
        url = self.url.replace("/metrics", "/readyz")
        while True:
            try:
                with urllib.request.urlopen(url, timeout=10):
                    return time.perf_counter()
            except urllib.error.HTTPError as error:
                error.close()
            time.sleep(0.02)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self._drain.wait(10)


@contextmanager
def running(ground: Ground) -> Iterator[RunningGate]:
    gate = RunningGate(ground)
    try:
        yield gate
    finally:
        gate.stop()


def throughput(kafka: EmbeddedKafka, partitions: int, subjects: int, requests: int) -> Row:
    """One row: fold everyone's consent, then decide a backlog."""
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(kafka, Path(folder), partitions)
        QUIET.print(
            f"{partitions} partitions: writing {subjects:,} consents, {requests:,} requests"
        )
        ground.consents(subjects)
        with running(ground) as gate:
            began = gate.ready()
            last = gate.until("consent_gate_consent_events_total", subjects, "folding")
            fold_rate = subjects / (last - began)
        for recipient, value in ground.requests(requests, subjects):
            ground.write(ground.topics.requests, recipient, value)
        ground.flush()
        floor_rate = floor(ground, requests)
        with running(ground) as gate:
            began = gate.ready()
            last = gate.until("consent_gate_decisions_total", requests, "deciding")
            gate_rate = requests / (last - began)
        return Row(partitions, requests, subjects, floor_rate, gate_rate, fold_rate)


def latency(kafka: EmbeddedKafka, rate: int, seconds: int, subjects: int) -> dict[str, float]:
    """Milliseconds from append to a read-committed reader, at ``rate`` requests a second."""
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(kafka, Path(folder), 5)
        ground.consents(subjects)
        requests = ground.requests(rate * seconds, subjects, seed=2)
        with running(ground) as gate:
            gate.until("consent_gate_consent_events_total", subjects, "folding")
            seen = _paced(ground, requests, rate)
    values = sorted(seen)
    return {
        "requests_per_second": rate,
        "measured": len(values),
        "p50_ms": statistics.median(values),
        "p99_ms": values[int(len(values) * 0.99)],
        "max_ms": values[-1],
    }


def _paced(ground: Ground, requests: list[tuple[str, bytes]], rate: int) -> list[float]:
    """
    Send at an even pace while reading ``sms.allowed``; return each latency in milliseconds.

    What was appended in the first :data:`WARM_UP_SECONDS` does not count.
    """
    settings, topics = ground.settings, ground.topics
    reader = Consumer({**reader_config(settings), "enable.partition.eof": False})
    reader.assign([TopicPartition(topics.allowed, p, 0) for p in range(settings.partitions)])
    appended: dict[tuple[int, int], int] = {}
    arrived: dict[str, float] = {}

    def delivered(error: object, message: object) -> None:
        if error is None:
            appended[message.partition(), message.offset()] = message.timestamp()[1]  # type: ignore[attr-defined]

    began = time.time()
    sent = 0
    deadline = began + len(requests) / rate + 10
    expected = sum(1 for index in range(len(requests)) if index % 3)
    while len(arrived) < expected and time.time() < deadline:
        due = min(len(requests), int((time.time() - began) * rate))
        while sent < due:
            recipient, value = requests[sent]
            ground.producer.produce(
                topics.requests, value, recipient.encode(), on_delivery=delivered
            )
            sent += 1
        ground.producer.poll(0)
        for message in reader.consume(500, 0.001):
            headers = dict(message.headers() or [])
            decision_id = headers["consent-gate-decision-id"]
            if isinstance(decision_id, bytes):
                arrived[decision_id.decode()] = time.time() * 1000
    ground.flush()
    reader.close()
    latencies = []
    for decision_id, at_ms in arrived.items():
        _, partition, offset, _ = decision_id.rsplit("-", 3)
        appended_at = appended[int(partition), int(offset)]
        if appended_at >= (began + WARM_UP_SECONDS) * 1000:
            latencies.append(at_ms - appended_at)
    return latencies


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--requests", type=int, default=600_000)
    arguments.add_argument("--subjects", type=int, default=500_000)
    arguments.add_argument("--partitions", type=int, nargs="*", default=[4, 20])
    arguments.add_argument("--rate", type=int, default=2_000, help="requests/s for the latency")
    arguments.add_argument("--seconds", type=int, default=20, help="how long to pace them")
    options = arguments.parse_args()
    with EmbeddedKafka(1) as kafka:
        rows = [
            throughput(kafka, partitions, options.subjects, options.requests)
            for partitions in options.partitions
        ]
        delay = latency(kafka, options.rate, options.seconds, min(options.subjects, 50_000))
    table = Table(title="consent-gate against its floor")
    for head in ("partitions", "floor/s", "gate/s", "gate to floor", "consents folded/s"):
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(
            str(row.partitions),
            f"{row.floor_per_second:,.0f}",
            f"{row.gate_per_second:,.0f}",
            f"{row.ratio:.2f}",
            f"{row.fold_per_second:,.0f}",
        )
    console = Console()
    console.print(table)
    console.print(
        f"append to read-committed reader at {delay['requests_per_second']:,}/s: "
        f"p50 {delay['p50_ms']:.0f} ms, p99 {delay['p99_ms']:.0f} ms, max {delay['max_ms']:.0f} ms"
    )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        json.dumps(
            {
                "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "version": __version__,
                "python": platform.python_version(),
                "gate_to_floor_ratio": rows[0].ratio,
                "rows": [{**vars(row), "gate_to_floor_ratio": row.ratio} for row in rows],
                "latency": delay,
            },
            indent=2,
        )
        + "\n"
    )
    console.print(f"written to {RESULTS.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
