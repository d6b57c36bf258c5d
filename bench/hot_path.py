"""
What the gate's own thread costs a request and a consent event, step by step: no Kafka, no clock.

Feeds the gate's parts with records as ``bench/gate.py`` draws them and counts the processor time
of this thread alone, so that two runs can be compared on a busy machine. Left out is what waits:
consuming, the barrier, the transaction's commit. The last step hands the outputs to a librdkafka
producer without a broker: what the call to ``produce`` costs, not what librdkafka's threads do.

With ``--candidate DIR`` a candidate policy is asked beside the one that decides.

States are read from the store as after a restart: most recipients are met for the first time.
Below the steps stands what it takes to look up a verdict that is remembered: ``Policy.decide`` on
facts that are read already.
``--profile decide`` (or ``fold``, ``commit``) prints where the time of that step goes.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
import timeit
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message, Producer
from rich.console import Console
from rich.table import Table
from traffic import consents, pause, requests

from streams.codec.codec import open_codecs
from streams.gate.collecting import collect_less, collected_later
from streams.gate.commit import Commit
from streams.gate.deciding import Deciding
from streams.gate.folding import Folding
from streams.gate.ground import Ground
from streams.gate.holding import Holding
from streams.gate.owned import Owned
from streams.gate.shadow import CandidatePolicy
from streams.gate.topics import GateTopics
from streams.gate.transaction import Output
from streams.gate.work import Chain, Work
from streams.kafka.placement import partition_of
from streams.policy.facts import Assessment, Facts, nothing_known
from streams.policy.policy import Policy, load_policy
from streams.policy.templates import NO_TEMPLATES
from streams.records.subject import Position
from streams.resources import data_dir
from streams.sealing.keyring import open_keyring
from streams.sealing.secrets_folder import init_secrets
from streams.state.broadcast import CampaignTable, NameConsentTable
from streams.state.holds import Holds
from streams.state.log_reader import At, Fetched
from streams.state.sends import Sends
from streams.state.store import Reached, Store
from streams.state.subjects import Subjects
from streams.telemetry.telemetry import Telemetry
from streams.topology import TopicNames

PARTITIONS = 4
BATCH = 10_000
POLICY_DIR = Path(data_dir("policies")) / "default"


class Clock:
    """Processor time of this thread by step, and the profile of one step if asked for."""

    def __init__(self, profiled: str | None) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._profiled = profiled
        self.profile = cProfile.Profile()

    def time(self, step: str, work: Callable[[], None]) -> None:
        profiled = step == self._profiled
        began = time.thread_time()
        if profiled:
            self.profile.enable()
        work()
        if profiled:
            self.profile.disable()
        self.seconds[step] += time.thread_time() - began


class FromMemory:
    """In the place of the state's reader: what was put in is there."""

    def __init__(self) -> None:
        self._there: dict[At, list[Fetched]] = {}

    def put(self, at: At, messages: list[Fetched]) -> None:
        self._there[at] = messages

    def take_below(self, at: At, target: int, most: int) -> list[Fetched]:
        return self._there.pop(at, [])

    def next_waiting(self, at: At) -> int | None:
        return None

    def reached(self, at: At, target: int) -> bool:
        return True


class Bench:
    """A gate's parts without its loop, on a store of their own."""

    def __init__(self, folder: Path, clock: Clock, candidate: Path | None = None) -> None:
        init_secrets(folder / "secrets")
        self.clock = clock
        self.keyring = open_keyring(folder / "secrets")
        self.codecs = open_codecs()
        self.topics = GateTopics.of(TopicNames())
        self.store = Store(folder / "state", map_bytes=4 << 30, written_by="bench")
        self.producer = Producer(
            {
                "bootstrap.servers": "127.0.0.1:1",
                "log_level": 0,
                "queue.buffering.max.messages": 10_000_000,
                "queue.buffering.max.kbytes": 2_000_000_000 // 1024,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
            }
        )
        self.now_ms = int(time.time() * 1000)
        self.owned = [Owned(p, position=Position(p)) for p in range(PARTITIONS)]
        self.policy = load_policy(POLICY_DIR)
        self.candidate = CandidatePolicy(candidate, Telemetry()).current
        if candidate is not None and self.candidate is None:
            raise SystemExit(f"{candidate} cannot be loaded: see `consent-gate policy check`")
        self.start()

    def start(self) -> None:
        """Begin with nothing in memory, as after a restart."""
        self.reader = FromMemory()
        self.subjects = Subjects(self.store, self.codecs.subject_states, self.codecs.subject_keys)
        self.sends = Sends(self.policy.caps.horizon_ms)
        for partition in range(PARTITIONS):
            self.sends.begin(partition, 0, self.now_ms)
        data_keys = self.keyring.data_keys()
        holds = Holds(7 * 86_400_000)
        for partition in range(PARTITIONS):
            holds.begin(partition)
        holding = Holding(
            holds=holds,
            store=self.store,
            subjects=self.subjects,
            data_keys=data_keys,
            codecs=self.codecs,
        )
        campaigns = CampaignTable(self.keyring.subject_ids.of)
        campaigns.apply(pause(self.now_ms))
        self.folding = Folding(
            reader=self.reader,  # type: ignore[arg-type]  # what Folding asks of it is above
            subjects=self.subjects,
            codecs=self.codecs,
            keyring=self.keyring,
            data_keys=data_keys,
            topics=self.topics,
            partitions=PARTITIONS,
            contact_entry_days=30,
            group_id="bench",
        )
        self.deciding = Deciding(
            subjects=self.subjects,
            sends=self.sends,
            holding=holding,
            codecs=self.codecs,
            subject_ids=self.keyring.subject_ids,
            data_keys=data_keys,
            names=NameConsentTable(),
            campaigns=campaigns,
            templates=NO_TEMPLATES,
            topics=self.topics,
            partitions=PARTITIONS,
            group_id="bench",
        )

    def fetched(self, topic: str, records: Iterable[tuple[str, bytes]]) -> list[list[Fetched]]:
        """Lay records into partitions, as a broker would have; give them by partition."""
        laid: list[list[Fetched]] = [[] for _ in range(PARTITIONS)]
        for key, value in records:
            partition = partition_of(key.encode(), PARTITIONS)
            laid[partition].append(
                Message(
                    topic=topic,
                    partition=partition,
                    offset=len(laid[partition]),
                    key=key.encode(),
                    value=value,
                    timestamp=(TIMESTAMP_LOG_APPEND_TIME, self.now_ms),
                )
            )
        return laid

    @collected_later()
    def fold(self, laid: list[list[Fetched]], begin: int, size: int) -> int:
        """Fold and commit the next records of every partition; return how many there were."""
        works = []
        for owned in self.owned:
            at = At(self.topics.consent, owned.partition)
            events = laid[owned.partition][begin : begin + size]
            self.reader.put(at, events)
            work = self._work(owned, [])
            work.targets = {
                at: owned.position.consent_offset + len(events),
                At(self.topics.contacts, owned.partition): 0,
            }
            works.append(work)

        def fold() -> None:
            for work in works:
                self.folding.fold(work, BATCH, self.now_ms)

        self.clock.time("fold", fold)
        self._commit(works, "fold: ")
        return sum(len(work.folded[At(self.topics.consent, work.partition)]) for work in works)

    @collected_later()
    def decide(self, laid: list[list[Fetched]], begin: int, size: int) -> int:
        """Decide and commit the next requests of every partition; return how many there were."""
        works = [self._work(o, laid[o.partition][begin : begin + size]) for o in self.owned]
        offsets = {"campaigns": 1, "names.consents": 0}
        ground = Ground(self.policy, offsets, self.now_ms, self.candidate)

        def decide() -> None:
            for work in works:
                self.deciding.decide(work, ground)

        self.clock.time("decide", decide)
        self._commit(works, "")
        return sum(len(work.requests) for work in works)

    def _work(self, owned: Owned, taken: list[Fetched]) -> Work:
        topics, frames, at = self.topics, self.codecs, owned.position
        return Work(
            owned=owned,
            requests=taken,
            decisions=Chain(
                frames.decisions.frame,
                topics.decisions,
                owned.partition,
                at.decision_sequence,
                at.decision_hash,
            ),
            ledger=Chain(
                frames.ledger.frame,
                topics.ledger,
                owned.partition,
                at.ledger_sequence,
                at.ledger_hash,
            ),
            consent_offset=at.consent_offset,
            consent_append_at=at.consent_append_at,
        )

    def _commit(self, works: list[Work], what: str) -> None:
        made: list[Commit] = []

        def build() -> None:
            made.append(
                Commit(
                    works,
                    topics=self.topics,
                    codecs=self.codecs,
                    subjects=self.subjects,
                    store=self.store,
                    signer=self.keyring.signer,
                    now_ms=self.now_ms,
                )
            )

        self.clock.time(f"{what}commit", build)
        commit = made[0]
        self.clock.time(f"{what}produce", lambda: self._produce(commit.outputs))
        self.producer.purge()
        self.producer.poll(0)
        reached = {partition: Reached(b"", 0, 0, self.now_ms) for partition in commit.positions}
        self.clock.time(f"{what}store", lambda: self.subjects.committed(reached, commit.encoded))
        for work in works:
            work.owned.position = commit.positions[work.partition]

    def _produce(self, outputs: list[Output]) -> None:
        produce = self.producer.produce
        for topic, partition, key, value, headers in outputs:
            if headers is None:
                produce(topic, value, key, partition)
            else:
                produce(topic, value, key, partition, None, None, 0, headers)


def memo_seconds(policy: Policy, now_ms: int) -> float:
    """Time one look-up of a remembered verdict, calling it included: the best of many rounds."""
    known = nothing_known("marketing")
    policy.decide(Assessment(known, None, now_ms))
    # Another tuple than the one that is remembered, as it is for every message.
    assessment = Assessment(Facts(*known), None, now_ms)
    rounds = timeit.repeat(
        lambda: policy.decide(assessment), timer=time.thread_time, number=10_000, repeat=20
    )
    return min(rounds) / 10_000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--requests", type=int, default=100_000)
    arguments.add_argument("--subjects", type=int, default=100_000)
    arguments.add_argument("--candidate", type=Path, metavar="DIR", help="ask this policy, too")
    arguments.add_argument("--profile", metavar="STEP", help="print the profile of one step")
    options = arguments.parse_args()
    clock = Clock(options.profile)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), clock, options.candidate)
        encode = bench.codecs.consent_events.encode
        events = bench.fetched(
            bench.topics.consent,
            ((e.subject, encode(e)) for e in consents(options.subjects, bench.now_ms)),
        )
        encode_request = bench.codecs.requests.encode
        drawn = bench.fetched(
            bench.topics.requests,
            (
                (r.recipient, encode_request(r))
                for r in requests(options.requests, options.subjects, bench.now_ms)
            ),
        )
        collect_less()
        size = BATCH // PARTITIONS
        folded = sum(bench.fold(events, at, size) for at in range(0, max(map(len, events)), size))
        bench.start()
        decided = sum(bench.decide(drawn, at, size) for at in range(0, max(map(len, drawn)), size))
        bench.store.close()
    table = Table(title="processor time of the gate's thread, in microseconds")
    table.add_column("step")
    table.add_column("each", justify="right")
    for name, of, count in (("consent event", "fold", folded), ("request", "", decided)):
        steps = {
            step: seconds / count * 1e6
            for step, seconds in clock.seconds.items()
            if step.startswith("fold") == bool(of)
        }
        table.add_row(f"[bold]a {name}", f"[bold]{sum(steps.values()):.1f}")
        for step, each in steps.items():
            table.add_row(f"  {step}", f"{each:.1f}")
    memo = memo_seconds(bench.policy, bench.now_ms) * 1e6
    table.add_row(f"[bold]a remembered verdict[/] on {len(Facts._fields)} facts", f"{memo:.2f}")
    Console().print(table)
    if options.profile is not None:
        pstats.Stats(clock.profile).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
