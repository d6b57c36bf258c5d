"""
From a reply to the last message that is still allowed, at 2,000 requests a second.

A gate and a worker run as anybody runs them, in processes of their own. Everyone has consented to
advertising and gets it at an even pace; now and then somebody replies STOP. For each of them this
measures, from the append of the reply in ``sms.inbound``,

* *acknowledged*: the append of the withdrawal in ``consent.events``;
* *last allowed*: when the gate wrote the last message that it still allowed, 0 where it wrote none
  after the reply;
* *first refused*: when it wrote the first decision that the withdrawal dropped.

The gate's figures have its own delay in them: a message that was requested before the reply may be
decided after it. How many requests were allowed that were appended after the withdrawal is counted,
and must be none. Times are one broker's clock. Prints a table and writes
``bench/results/replies.json``, with the machine's load before: on a busy one all grows but that.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import traffic
import yaml
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from rich.console import Console
from rich.table import Table

from streams import __version__
from streams.broker.cluster import EmbeddedKafka
from streams.codec.codec import Codecs, open_codecs
from streams.config import Settings
from streams.kafka.clients import admin_config, producer_config, reader_config
from streams.kafka.placement import partition_of
from streams.kafka.topics import apply
from streams.records.decisions import Outcome
from streams.records.events import ConsentKind
from streams.records.inbound import InboundSms, event_of_reply
from streams.resources import data_dir
from streams.sealing.secrets_folder import init_secrets
from streams.topology import (
    CONSENT_EVENTS,
    SMS_DECISIONS,
    SMS_INBOUND,
    SMS_REQUESTED,
    Topic,
)

RESULTS = Path(__file__).parent / "results" / "replies.json"
QUIET = Console(stderr=True)
PARTITIONS = 5

WARM_UP_SECONDS = 3.0
"""Nobody replies before: the first second is the JVM's, and the first batch is no steady state."""

COMMANDS = "from streams.cli.main import main; main()"


@dataclass
class Person:
    """
    What happened to somebody who replied; all times are in milliseconds.

    Of the messages allowed: when they were requested, and when the gate wrote its decision.
    """

    replied_at: int = 0
    withdrawn_at: int = 0
    allowed: list[tuple[int, int]] = field(default_factory=list)
    dropped_at: list[int] = field(default_factory=list)


def uncapped(folder: Path) -> Path:
    """Make a plain policy without the cap on advertising: that would stop it before a STOP."""
    shutil.copytree(
        data_dir("policies") / "plain", folder, ignore=shutil.ignore_patterns("tests.yaml")
    )
    manifest = folder / "policy.yaml"
    text = manifest.read_text("utf-8")
    cap = "  - {purposes: [marketing], most: 100, window: 1d}\n"
    if cap not in text:
        raise SystemExit(f"The plain policy has no line {cap.strip()!r}: look at its caps.")
    manifest.write_text(text.replace(cap, ""), "utf-8")
    return folder


class Ground:
    """Topics, keys and a producer."""

    def __init__(self, kafka: EmbeddedKafka, folder: Path) -> None:
        init_secrets(folder / "secrets")
        self.settings = Settings.model_validate(
            {
                "bootstrap_servers": kafka.bootstrap_servers,
                "topic_prefix": "replies.",
                "partitions": PARTITIONS,
                "state_dir": folder / "state",
                "secrets_dir": folder / "secrets",
                "policy_dir": uncapped(folder / "policy"),
                # No worker pauses the campaign for what is measured here.
                "campaign_least_withdrawals": 1_000_000,
                "http_port": 0,
                "worker_http_port": 0,
                "instance_id": "bench",
            }
        )
        self.codecs: Codecs = open_codecs()
        apply(self.settings, AdminClient(admin_config(self.settings)))
        self.producer = Producer(producer_config(self.settings))
        self.config = folder / "consent-gate.yaml"
        values = self.settings.model_dump(mode="json", exclude_defaults=True)
        self.config.write_text(yaml.safe_dump(values))
        self.appended: dict[str, dict[tuple[int, int], int]] = defaultdict(dict)

    def write(self, topic: Topic, number: str, value: bytes) -> None:
        """Write to the person's partition; remember when it was appended."""
        name = self.settings.names.of(topic)
        appended = self.appended[topic.name]

        def delivered(error: object, message: object) -> None:
            if error is not None:
                raise SystemExit("Kafka did not take the benchmark's input.")
            appended[message.partition(), message.offset()] = message.timestamp()[1]  # type: ignore[attr-defined]

        key = number.encode()
        while True:
            try:
                self.producer.produce(
                    name, value, key, partition_of(key, PARTITIONS), on_delivery=delivered
                )
                break
            except BufferError:
                self.producer.poll(0.1)
        self.producer.poll(0)

    def read(self, topic: Topic) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield partition, offset, append time and value of all that is committed in a topic."""
        name = self.settings.names.of(topic)
        reader = Consumer(reader_config(self.settings))
        left = set(range(PARTITIONS))
        reader.assign([TopicPartition(name, partition, 0) for partition in left])
        while left:
            for message in reader.consume(5_000, 1.0):
                if message.error() is not None:
                    left.discard(message.partition() or 0)  # its end
                    continue
                at = message.timestamp()[1]
                yield message.partition() or 0, message.offset() or 0, at, message.value() or b""
        reader.close()


@contextmanager
def running(ground: Ground, command: str) -> Iterator[str]:
    """Run a gate or a worker until the block ends; give the address of its metrics once ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMANDS, "--config", str(ground.config), command],
        stderr=subprocess.PIPE,
        text=True,
    )
    url = ""
    for line in process.stderr or ():
        if line.startswith("metrics at "):
            url = line.split()[2].rstrip(",")
            break
    if not url:
        raise SystemExit(f"The {command} did not start: run it by hand with this configuration.")
    drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
    try:
        while not _ready(url.replace("/metrics", "/readyz")):
            if process.poll() is not None:
                raise SystemExit(f"The {command} ended before it was ready.")
            time.sleep(0.05)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        drain.wait(10)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10):
            return True
    except urllib.error.URLError:
        return False


def counted(url: str, metric: str) -> float:
    """The sum over all series of one metric."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.startswith((metric + "{", metric + " "))
    )


def until(url: str, metric: str, target: float, seconds: float = 600) -> None:
    """Wait for a counter: long, since on a busy machine the gate falls behind what is sent."""
    deadline = time.monotonic() + seconds
    while counted(url, metric) < target:
        if time.monotonic() > deadline:
            raise SystemExit(f"{metric} did not get to {target:.0f} in {seconds:.0f} s.")
        time.sleep(0.2)


def play(ground: Ground, gate: str, rate: int, seconds: int, subjects: int, replies: int) -> int:
    """Send at an even pace, a reply in between now and then; return how many requests were sent."""
    for event in traffic.consents(subjects, int(time.time() * 1000)):
        value = ground.codecs.consent_events.encode(event)
        ground.write(CONSENT_EVENTS, event.subject, value)
    ground.producer.flush(120)
    until(gate, "consent_gate_consent_events_total", subjects)
    now = int(time.time() * 1000)
    drawn = traffic.requests(rate * seconds, subjects, now, seed=7)
    requests = [(each.recipient, ground.codecs.requests.encode(each)) for each in drawn]
    who = random.Random(7).sample(range(subjects), replies)
    quiet = int(WARM_UP_SECONDS * rate)
    # The last second has no replies either: what follows them is to be seen.
    every = max(1, (len(requests) - quiet - rate) // replies)
    due_reply = {quiet + n * every: index for n, index in enumerate(who)}
    began = time.time()
    sent = 0
    while sent < len(requests):
        due = min(len(requests), int((time.time() - began) * rate))
        while sent < due:
            if sent in due_reply:
                _reply(ground, traffic.number(due_reply[sent]))
            ground.write(SMS_REQUESTED, *requests[sent])
            sent += 1
        ground.producer.poll(0.001)
    if ground.producer.flush(60):
        raise SystemExit("Kafka did not take the benchmark's input within a minute.")
    return len(requests)


def _reply(ground: Ground, number: str) -> None:
    reply = InboundSms(f"m{number}", number, "36111", "STOP", int(time.time() * 1000))
    ground.write(SMS_INBOUND, number, ground.codecs.inbound.encode(reply))


def followed(ground: Ground) -> dict[str, Person]:
    """Put together what happened to each who replied, by the number."""
    people: dict[str, Person] = defaultdict(Person)
    for partition, offset, at, value in ground.read(SMS_INBOUND):
        people[ground.codecs.inbound.decode(value).sender].replied_at = at
        assert ground.appended[SMS_INBOUND.name][partition, offset] == at
    for _, _, at, value in ground.read(CONSENT_EVENTS):
        event = ground.codecs.consent_events.decode(value)
        if event.kind is ConsentKind.WITHDRAWN:
            assert event.event_id == event_of_reply(f"m{event.subject}")
            people[event.subject].withdrawn_at = at
    asked = {
        (partition, offset): (ground.codecs.requests.decode(value), at)
        for partition, offset, at, value in ground.read(SMS_REQUESTED)
    }
    for _, _, written_at, value in ground.read(SMS_DECISIONS):
        decision = ground.codecs.decisions.decode(value)
        request, asked_at = asked[decision.request_partition, decision.request_offset]
        person = people.get(request.recipient)
        if person is None or request.purpose != "marketing":
            continue
        if decision.verdict is Outcome.ALLOWED:
            person.allowed.append((asked_at, written_at))
        elif "SUPPRESSED" in decision.reasons:
            person.dropped_at.append(written_at)
    return people


def figures(people: dict[str, Person]) -> dict[str, dict[str, float]]:
    """Milliseconds from the reply: median, 99th percentile and most of each measure."""
    everyone = list(people.values())
    measures = {
        "acknowledged": [each.withdrawn_at - each.replied_at for each in everyone],
        "last allowed": [
            max([0, *(at - each.replied_at for _, at in each.allowed)]) for each in everyone
        ],
        "first refused": [
            min(each.dropped_at) - each.replied_at for each in everyone if each.dropped_at
        ],
    }
    return {
        name: {
            "people": len(values),
            "p50_ms": statistics.median(values),
            "p99_ms": sorted(values)[int(len(values) * 0.99)],
            "max_ms": max(values),
        }
        for name, values in measures.items()
        if values
    }


def written_to(people: dict[str, Person]) -> int:
    """How many were allowed something in the second before their reply: only they show anything."""
    return sum(
        any(each.replied_at - 1_000 <= asked_at <= each.replied_at for asked_at, _ in each.allowed)
        for each in people.values()
    )


def allowed_after(people: dict[str, Person]) -> int:
    """How many requests were allowed that were appended after the withdrawal."""
    return sum(
        asked_at > each.withdrawn_at for each in people.values() for asked_at, _ in each.allowed
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    arguments.add_argument("--rate", type=int, default=2_000, help="requests a second")
    arguments.add_argument("--seconds", type=int, default=30)
    arguments.add_argument("--subjects", type=int, default=200, help="few: each gets many")
    arguments.add_argument("--replies", type=int, default=150)
    options = arguments.parse_args()
    load = os.getloadavg()[0]
    with EmbeddedKafka(1) as kafka, tempfile.TemporaryDirectory() as folder:
        ground = Ground(kafka, Path(folder))
        with running(ground, "gate") as gate, running(ground, "worker") as worker:
            sent = play(
                ground, gate, options.rate, options.seconds, options.subjects, options.replies
            )
            until(worker, "consent_gate_worker_events_total", options.replies)
            # The confirmations that the worker asks for are decided, too.
            until(gate, "consent_gate_decisions_total", sent + options.replies)
        people = followed(ground)
    if written_to(people) < 0.9 * options.replies:
        raise SystemExit(
            f"Only {written_to(people)} of {options.replies} were written to when they replied: "
            "what is measured would be of others than those who stopped it."
        )
    measured, late = figures(people), allowed_after(people)
    table = Table(title=f"from the reply, at {options.rate:,} requests/s")
    for head in ("", "people", "p50 ms", "p99 ms", "most ms"):
        table.add_column(head, justify="right" if head else "left")
    for name, row in measured.items():
        table.add_row(name, *(f"{value:,.0f}" for value in row.values()))
    console = Console()
    console.print(table)
    console.print(f"allowed after the withdrawal was acknowledged: {late}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        json.dumps(
            {
                "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "version": __version__,
                "python": platform.python_version(),
                "load_before": round(load, 1),
                "requests_per_second": options.rate,
                "replies": options.replies,
                "allowed_after_acknowledgement": late,
                "from_the_reply": measured,
            },
            indent=2,
        )
        + "\n"
    )
    console.print(f"written to {RESULTS}")
    if late:
        raise SystemExit("Messages were allowed after a withdrawal: guarantee I1 is broken.")


if __name__ == "__main__":
    main()
