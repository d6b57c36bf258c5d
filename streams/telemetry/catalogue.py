"""
Everything that consent-gate tells about itself: every fact, its log event, its metrics.

A fact is a frozen dataclass in the past tense. It names what happened, never to whom: no field may
hold a phone number, a person's name or a message body (guarantee I7). Emitting one
(:meth:`~streams.telemetry.telemetry.Telemetry.emit`) moves the metrics in ``METRICS`` and, where
``LEVEL`` is set, writes one log line whose event is the class name in snake case and whose fields
are the dataclass's. Facts of the hot path cover a whole batch and write no line.

Three things that must never be mixed up have counters of their own: what the rules blocked or held
(``consent_gate_reasons_total``), what nobody can judge and was put aside with its bytes
(``consent_gate_dead_letters_total``), and what is gone (``consent_gate_lost_records_total``).

Names follow https://prometheus.io/docs/practices/naming/: base units, ``_total`` on counters. A
label value that names a reason or a member of a record's enumeration is spelt as there
(``ALLOWED``); all others are lower case. ``docs/metrics.md`` is written from this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streams.config import LogLevel
from streams.policy.asking import QuestionOutcome
from streams.policy.reasons import Reason, ReasonKind
from streams.records.decisions import Outcome, Refusal
from streams.records.events import ConsentKind, ContactKind
from streams.telemetry import metrics
from streams.telemetry.fact import Fact, topic_name
from streams.telemetry.labels import (
    Condition,
    EventOutcome,
    RebalanceKind,
    RestoreKind,
    StallCause,
    Step,
    StopCause,
    TransactionResult,
)
from streams.telemetry.redaction import described
from streams.telemetry.series import LabelValue, Series
from streams.topology import Topic


@dataclass(frozen=True, slots=True)
class GateStarted(Fact):
    """The gate's process is up; it has no partitions yet."""

    METRICS = (metrics.BUILD_INFO,)
    LEVEL = LogLevel.INFO

    version: str
    instance_id: str

    def record(self, series: Series) -> None:
        series.set_only(metrics.BUILD_INFO, 1, self.version)


@dataclass(frozen=True, slots=True)
class GateStopped(Fact):
    """The gate left its group. ``seconds`` is how long stopping took."""

    LEVEL = LogLevel.INFO

    cause: StopCause
    seconds: float


@dataclass(frozen=True, slots=True)
class RequestsTaken(Fact):
    """A committed batch took ``count`` requests from ``sms.requested``."""

    METRICS = (metrics.REQUESTS,)

    count: int

    def record(self, series: Series) -> None:
        series.add(metrics.REQUESTS, self.count)


@dataclass(frozen=True, slots=True)
class VerdictsGiven(Fact):
    """A committed batch's verdicts: how many of each purpose and outcome."""

    METRICS = (metrics.DECISIONS,)

    counts: Mapping[tuple[str, Outcome | str], int]

    def record(self, series: Series) -> None:
        for (purpose, verdict), count in self.counts.items():
            series.add(metrics.DECISIONS, count, purpose, verdict)


@dataclass(frozen=True, slots=True)
class ReasonsGiven(Fact):
    """A committed batch's objections: how many of each purpose, reason and kind."""

    METRICS = (metrics.REASONS,)

    counts: Mapping[tuple[str, Reason | str, ReasonKind | str], int]

    def record(self, series: Series) -> None:
        for (purpose, reason, kind), count in self.counts.items():
            word = kind.value if isinstance(kind, ReasonKind) else kind
            series.add(metrics.REASONS, count, purpose, reason, word.lower())


@dataclass(frozen=True, slots=True)
class DeadLettered(Fact):
    """Records of one topic were put aside; ``cause`` is the ``cause`` of their DeadLetter error."""

    METRICS = (metrics.DEAD_LETTERS,)
    LEVEL = LogLevel.WARNING
    EVERY_SECONDS = 10.0

    topic: Topic | str
    cause: str
    count: int

    def record(self, series: Series) -> None:
        series.add(metrics.DEAD_LETTERS, self.count, topic_name(self.topic), self.cause)

    def flood_key(self) -> tuple[object, ...]:
        return (topic_name(self.topic), self.cause)


@dataclass(frozen=True, slots=True)
class RecordsLost(Fact):
    """Records were gone from a topic before they were read."""

    METRICS = (metrics.LOST_RECORDS,)
    LEVEL = LogLevel.ERROR

    topic: Topic | str
    partition: int
    count: int

    def record(self, series: Series) -> None:
        series.add(metrics.LOST_RECORDS, self.count, topic_name(self.topic))


@dataclass(frozen=True, slots=True)
class BarrierReached(Fact):
    """The state of ``partitions`` partitions was folded up to the barrier of a batch."""

    METRICS = (metrics.BARRIER_WAIT, metrics.BARRIER_PARTITIONS)

    wait_seconds: float
    partitions: int

    def record(self, series: Series) -> None:
        series.observe(metrics.BARRIER_WAIT, self.wait_seconds)
        series.observe(metrics.BARRIER_PARTITIONS, self.partitions)


@dataclass(frozen=True, slots=True)
class BatchDecided(Fact):
    """A batch was decided and committed. ``partitions`` is how many request partitions it had."""

    METRICS = (metrics.BATCH_RECORDS, metrics.BATCH_BYTES, metrics.BATCH_PARTITIONS)

    records: int
    bytes: int
    partitions: int

    def record(self, series: Series) -> None:
        series.observe(metrics.BATCH_RECORDS, self.records)
        series.observe(metrics.BATCH_BYTES, self.bytes)
        series.observe(metrics.BATCH_PARTITIONS, self.partitions)


@dataclass(frozen=True, slots=True)
class StepTimed(Fact):
    """One step of the loop took ``seconds`` for one batch."""

    METRICS = (metrics.STEP_SECONDS,)

    step: Step
    seconds: float

    def record(self, series: Series) -> None:
        series.observe(metrics.STEP_SECONDS, self.seconds, self.step)


@dataclass(frozen=True, slots=True)
class DecisionLatency(Fact):
    """The latencies of a committed batch: commit minus broker timestamp, a value a request."""

    METRICS = (metrics.DECISION_LATENCY,)

    milliseconds: Sequence[int]

    def record(self, series: Series) -> None:
        series.observe_all(metrics.DECISION_LATENCY, self.milliseconds, 1000.0)


@dataclass(frozen=True, slots=True)
class TransactionEnded(Fact):
    """A Kafka transaction ended after ``seconds``. Logged unless it was committed."""

    METRICS = (metrics.TRANSACTIONS, metrics.TRANSACTION_SECONDS)
    LEVEL = LogLevel.WARNING
    EVERY_SECONDS = 10.0

    result: TransactionResult
    seconds: float

    def record(self, series: Series) -> None:
        series.add(metrics.TRANSACTIONS, 1, self.result)
        series.observe(metrics.TRANSACTION_SECONDS, self.seconds, self.result)

    def worth_a_line(self) -> bool:
        return self.result is not TransactionResult.COMMITTED

    def flood_key(self) -> tuple[object, ...]:
        return (self.result,)


@dataclass(frozen=True, slots=True)
class StateLag(Fact):
    """How far the fold of one state topic is behind its end, in records and in seconds."""

    METRICS = (metrics.STATE_LAG_RECORDS, metrics.STATE_LAG_SECONDS)

    partition: int
    topic: Topic | str
    records: int
    seconds: float

    def record(self, series: Series) -> None:
        labels: tuple[LabelValue, ...] = (self.partition, topic_name(self.topic))
        series.set(metrics.STATE_LAG_RECORDS, self.records, *labels)
        series.set(metrics.STATE_LAG_SECONDS, self.seconds, *labels)


@dataclass(frozen=True, slots=True)
class RequestLag(Fact):
    """How many requests of a partition wait to be decided, and the oldest of them for how long."""

    METRICS = (metrics.REQUEST_LAG_RECORDS, metrics.REQUEST_LAG_SECONDS)

    partition: int
    records: int
    seconds: float

    def record(self, series: Series) -> None:
        series.set(metrics.REQUEST_LAG_RECORDS, self.records, self.partition)
        series.set(metrics.REQUEST_LAG_SECONDS, self.seconds, self.partition)


@dataclass(frozen=True, slots=True)
class HoldsWaiting(Fact):
    """What a partition holds by reason, and for how long the first that is due has been due."""

    METRICS = (metrics.WAITING_HOLDS, metrics.OVERDUE_HOLDS_SECONDS)

    partition: int
    by_reason: Mapping[str, int]
    overdue_seconds: float

    def record(self, series: Series) -> None:
        for reason, count in self.by_reason.items():
            series.set(metrics.WAITING_HOLDS, count, self.partition, reason)
        series.set(metrics.OVERDUE_HOLDS_SECONDS, self.overdue_seconds, self.partition)


@dataclass(frozen=True, slots=True)
class Rebalanced(Fact):
    """
    These partitions came to this gate or left it.

    What leaves takes its gauges along: whoever has the partition now shows them.
    """

    METRICS = (
        *(metrics.REBALANCES, metrics.ASSIGNED_PARTITIONS, metrics.STALLED_PARTITIONS),
        *(metrics.STATE_LAG_RECORDS, metrics.STATE_LAG_SECONDS),
        *(metrics.REQUEST_LAG_RECORDS, metrics.REQUEST_LAG_SECONDS),
        *(metrics.WAITING_HOLDS, metrics.OVERDUE_HOLDS_SECONDS),
        *(metrics.RESTORE_RATIO, metrics.RESTORE_RECORDS, metrics.WORKER_LAG_RECORDS),
    )
    LEVEL = LogLevel.INFO

    kind: RebalanceKind
    partitions: Sequence[int]

    def record(self, series: Series) -> None:
        series.add(metrics.REBALANCES, 1, self.kind)
        for partition in self.partitions:
            if self.kind is RebalanceKind.ASSIGNED:
                series.place(metrics.ASSIGNED_PARTITIONS, partition)
                continue
            series.displace(metrics.ASSIGNED_PARTITIONS, partition)
            series.displace(metrics.STALLED_PARTITIONS, partition)
            for gauge in (
                metrics.STATE_LAG_RECORDS,
                metrics.STATE_LAG_SECONDS,
                metrics.REQUEST_LAG_RECORDS,
                metrics.REQUEST_LAG_SECONDS,
                metrics.WAITING_HOLDS,
                metrics.OVERDUE_HOLDS_SECONDS,
                metrics.RESTORE_RATIO,
                metrics.RESTORE_RECORDS,
                metrics.WORKER_LAG_RECORDS,
            ):
                series.forget_partition(gauge, partition)


@dataclass(frozen=True, slots=True)
class PartitionStalled(Fact):
    """A partition's requests wait. May be emitted again while they do: it is counted once."""

    METRICS = (metrics.STALLED_PARTITIONS, metrics.STALLS)
    LEVEL = LogLevel.WARNING
    EVERY_SECONDS = 60.0

    partition: int
    cause: StallCause

    def record(self, series: Series) -> None:
        if series.members(metrics.STALLED_PARTITIONS).get(self.partition) != (self.cause.value,):
            series.add(metrics.STALLS, 1, self.cause)
        series.place(metrics.STALLED_PARTITIONS, self.partition, self.cause)

    def flood_key(self) -> tuple[object, ...]:
        return (self.partition, self.cause)

    def begins(self) -> object:
        return (PartitionStalled, self.partition)


@dataclass(frozen=True, slots=True)
class PartitionResumed(Fact):
    """A partition's requests are decided again."""

    METRICS = (metrics.STALLED_PARTITIONS,)
    LEVEL = LogLevel.INFO

    partition: int

    def record(self, series: Series) -> None:
        series.displace(metrics.STALLED_PARTITIONS, self.partition)

    def ends(self) -> object:
        return (PartitionStalled, self.partition)


@dataclass(frozen=True, slots=True)
class RestoreProgressed(Fact):
    """``done`` of ``total`` records of a partition's restore are read."""

    METRICS = (metrics.RESTORE_RATIO, metrics.RESTORE_RECORDS)
    LEVEL = LogLevel.INFO
    EVERY_SECONDS = 10.0

    partition: int
    done: int
    total: int

    def record(self, series: Series) -> None:
        ratio = min(self.done / self.total, 1.0) if self.total else 1.0
        series.set(metrics.RESTORE_RATIO, ratio, self.partition)
        series.set(metrics.RESTORE_RECORDS, self.total, self.partition)

    def flood_key(self) -> tuple[object, ...]:
        return (self.partition,)


@dataclass(frozen=True, slots=True)
class RestoreFinished(Fact):
    """A partition's state is restored; ``rebuilt`` if the local store was of no use."""

    METRICS = (
        metrics.RESTORE_RATIO,
        metrics.RESTORES,
        metrics.RESTORED_RECORDS,
        metrics.RESTORE_SECONDS,
    )
    LEVEL = LogLevel.INFO

    partition: int
    seconds: float
    records: int
    rebuilt: bool

    def record(self, series: Series) -> None:
        series.set(metrics.RESTORE_RATIO, 1.0, self.partition)
        series.add(
            metrics.RESTORES, 1, RestoreKind.REBUILT if self.rebuilt else RestoreKind.CONTINUED
        )
        series.add(metrics.RESTORED_RECORDS, self.records)
        series.observe(metrics.RESTORE_SECONDS, self.seconds)


@dataclass(frozen=True, slots=True)
class ConsentEventsFolded(Fact):
    """Consent events of a batch, by kind and by ``applied`` or the refusal."""

    METRICS = (metrics.CONSENT_EVENTS,)

    counts: Mapping[tuple[ConsentKind | str, Refusal | str], int]

    def record(self, series: Series) -> None:
        for (kind, result), count in self.counts.items():
            series.add(metrics.CONSENT_EVENTS, count, kind, result)


@dataclass(frozen=True, slots=True)
class ContactEntriesFolded(Fact):
    """Address-book entries of a batch that were folded."""

    METRICS = (metrics.CONTACT_ENTRIES,)

    kind: ContactKind
    count: int

    def record(self, series: Series) -> None:
        series.add(metrics.CONTACT_ENTRIES, self.count, self.kind)


@dataclass(frozen=True, slots=True)
class MisplacedResent(Fact):
    """Records were re-sent to the partition their key belongs to: a producer is set up wrongly."""

    METRICS = (metrics.MISPLACED,)
    LEVEL = LogLevel.WARNING
    EVERY_SECONDS = 60.0

    topic: Topic | str
    count: int

    def record(self, series: Series) -> None:
        series.add(metrics.MISPLACED, self.count, topic_name(self.topic))

    def flood_key(self) -> tuple[object, ...]:
        return (topic_name(self.topic),)


@dataclass(frozen=True, slots=True)
class TopicsWarned(Fact):
    """At start something about the topics was weaker than the guarantees want it."""

    METRICS = (metrics.TOPIC_WARNINGS,)
    LEVEL = LogLevel.WARNING

    detail: str

    def record(self, series: Series) -> None:
        series.add(metrics.TOPIC_WARNINGS, 1)


@dataclass(frozen=True, slots=True)
class PolicyLoaded(Fact):
    """From ``loaded_at`` on this policy decides; its purposes are the label values."""

    METRICS = (metrics.POLICY_INFO, metrics.POLICY_LOADED_AT)
    LEVEL = LogLevel.INFO

    version: str
    purposes: frozenset[str]
    loaded_at: int

    def record(self, series: Series) -> None:
        series.register_purposes(self.purposes)
        series.set_only(metrics.POLICY_INFO, 1, self.version)
        series.set(metrics.POLICY_LOADED_AT, self.loaded_at / 1000)


@dataclass(frozen=True, slots=True)
class PolicyRefused(Fact):
    """A new policy cannot be used; the old one stays. ``detail`` is the PolicyInvalid's text."""

    METRICS = (metrics.POLICY_REFUSALS,)
    LEVEL = LogLevel.ERROR

    detail: str

    def record(self, series: Series) -> None:
        series.add(metrics.POLICY_REFUSALS, 1)


@dataclass(frozen=True, slots=True)
class PolicyUnchanged(Fact):
    """A reload found the version that decides already: somebody's edit is not in this folder."""

    LEVEL = LogLevel.INFO

    version: str


@dataclass(frozen=True, slots=True)
class RulesObserved(Fact):
    """A committed batch's matches of rules that are only observed, by rule id."""

    METRICS = (metrics.RULES_OBSERVED,)

    counts: Mapping[str, int]

    def record(self, series: Series) -> None:
        for rule, count in self.counts.items():
            series.add(metrics.RULES_OBSERVED, count, rule)


@dataclass(frozen=True, slots=True)
class CandidateLoaded(Fact):
    """From now on this candidate policy is asked beside the one that decides."""

    METRICS = (metrics.CANDIDATE_INFO,)
    LEVEL = LogLevel.INFO

    version: str

    def record(self, series: Series) -> None:
        series.set_only(metrics.CANDIDATE_INFO, 1, self.version)


@dataclass(frozen=True, slots=True)
class CandidateRefused(Fact):
    """A candidate policy cannot be used; there is none now. ``detail`` says why."""

    METRICS = (metrics.CANDIDATE_INFO, metrics.CANDIDATE_REFUSALS)
    LEVEL = LogLevel.ERROR

    detail: str

    def record(self, series: Series) -> None:
        series.set_only(metrics.CANDIDATE_INFO, 0, "none")
        series.add(metrics.CANDIDATE_REFUSALS, 1)


@dataclass(frozen=True, slots=True)
class CandidateJudged(Fact):
    """A committed batch's decisions by purpose, outcome and the candidate's outcome."""

    METRICS = (metrics.CANDIDATE_DECISIONS,)

    counts: Mapping[tuple[str, Outcome, Outcome], int]

    def record(self, series: Series) -> None:
        for (purpose, verdict, candidate), count in self.counts.items():
            series.add(metrics.CANDIDATE_DECISIONS, count, purpose, verdict, candidate)


@dataclass(frozen=True, slots=True)
class CandidateFailed(Fact):
    """The candidate raised: of the error only class and place are told, as its text may quote."""

    METRICS = (metrics.CANDIDATE_ERRORS,)
    LEVEL = LogLevel.ERROR
    EVERY_SECONDS = 10.0

    error: BaseException

    def record(self, series: Series) -> None:
        series.add(metrics.CANDIDATE_ERRORS, 1)

    def flood_key(self) -> tuple[object, ...]:
        return (type(self.error),)

    def line(self) -> dict[str, object]:
        return described(self.error)


@dataclass(frozen=True, slots=True)
class ConditionNeeded(Fact):
    """A condition that this process needs to be ready; it does not hold yet."""

    METRICS = (metrics.CONDITIONS,)

    condition: Condition

    def record(self, series: Series) -> None:
        series.set(metrics.CONDITIONS, 0, self.condition)


@dataclass(frozen=True, slots=True)
class ConditionChanged(Fact):
    """A condition of being ready began or ceased to hold. Emitted by ``Health``."""

    METRICS = (metrics.CONDITIONS,)
    LEVEL = LogLevel.INFO

    condition: Condition
    ok: bool
    reason: str

    def record(self, series: Series) -> None:
        series.set(metrics.CONDITIONS, self.ok, self.condition)


@dataclass(frozen=True, slots=True)
class KafkaErrorSeen(Fact):
    """librdkafka reported an error; ``code`` is its ``KafkaError.name()``."""

    METRICS = (metrics.KAFKA_ERRORS,)
    LEVEL = LogLevel.WARNING
    EVERY_SECONDS = 10.0

    code: str
    fatal: bool

    def record(self, series: Series) -> None:
        series.add(metrics.KAFKA_ERRORS, 1, self.code)

    def flood_key(self) -> tuple[object, ...]:
        return (self.code, self.fatal)


@dataclass(frozen=True, slots=True)
class ErrorMet(Fact):
    """
    The gate met an error. Of a foreign one only class and place are told: its text may quote data.
    """

    METRICS = (metrics.ERRORS,)
    LEVEL = LogLevel.ERROR
    EVERY_SECONDS = 10.0

    error: BaseException

    def record(self, series: Series) -> None:
        series.add(metrics.ERRORS, 1, type(self.error).__name__)

    def flood_key(self) -> tuple[object, ...]:
        return (type(self.error),)

    def line(self) -> dict[str, object]:
        return described(self.error)


@dataclass(frozen=True, slots=True)
class StoreWritten(Fact):
    """A batch's changed subjects were written to the local store."""

    METRICS = (metrics.STORED_SUBJECTS,)

    subjects: int

    def record(self, series: Series) -> None:
        series.add(metrics.STORED_SUBJECTS, self.subjects)


@dataclass(frozen=True, slots=True)
class PartitionForgotten(Fact):
    """The local copy of a partition that has been another gate's for a day was deleted."""

    LEVEL = LogLevel.INFO

    partition: int


@dataclass(frozen=True, slots=True)
class WorkerStarted(Fact):
    """The worker's process is up; it has no partitions yet."""

    METRICS = (metrics.BUILD_INFO,)
    LEVEL = LogLevel.INFO

    version: str
    instance_id: str

    def record(self, series: Series) -> None:
        series.set_only(metrics.BUILD_INFO, 1, self.version)


@dataclass(frozen=True, slots=True)
class WorkerStopped(Fact):
    """The worker left. ``seconds`` is how long stopping took."""

    LEVEL = LogLevel.INFO

    cause: StopCause
    seconds: float


@dataclass(frozen=True, slots=True)
class EventsHandled(Fact):
    """``count`` events of an agent came to this end, and all that follows is on the brokers."""

    METRICS = (metrics.WORKER_EVENTS,)

    agent: str
    outcome: EventOutcome
    count: int

    def record(self, series: Series) -> None:
        series.add(metrics.WORKER_EVENTS, self.count, self.agent, self.outcome)


@dataclass(frozen=True, slots=True)
class BatchHandled(Fact):
    """An agent's batch took ``seconds``."""

    METRICS = (metrics.WORKER_BATCH_SECONDS,)

    agent: str
    seconds: float

    def record(self, series: Series) -> None:
        series.observe(metrics.WORKER_BATCH_SECONDS, self.seconds, self.agent)


@dataclass(frozen=True, slots=True)
class HandlingRetried(Fact):
    """An agent's batch waits because something outside did not answer."""

    METRICS = (metrics.WORKER_RETRIES,)
    LEVEL = LogLevel.WARNING
    EVERY_SECONDS = 10.0

    agent: str
    error: BaseException

    def record(self, series: Series) -> None:
        series.add(metrics.WORKER_RETRIES, 1, self.agent, type(self.error).__name__)

    def flood_key(self) -> tuple[object, ...]:
        return (self.agent, type(self.error))

    def line(self) -> dict[str, object]:
        return {"agent": self.agent, **described(self.error)}


@dataclass(frozen=True, slots=True)
class ConfirmationsFollowed(Fact):
    """So many consents that wait to be confirmed were asked about, or came to this end."""

    METRICS = (metrics.WORKER_CONFIRMATIONS,)

    outcome: QuestionOutcome
    count: int

    def record(self, series: Series) -> None:
        series.add(metrics.WORKER_CONFIRMATIONS, self.count, self.outcome)


@dataclass(frozen=True, slots=True)
class WorkerLag(Fact):
    """How many records of a topic's partition the worker has not handled yet."""

    METRICS = (metrics.WORKER_LAG_RECORDS,)

    topic: Topic | str
    partition: int
    records: int

    def record(self, series: Series) -> None:
        series.set(metrics.WORKER_LAG_RECORDS, self.records, self.partition, topic_name(self.topic))


@dataclass(frozen=True, slots=True)
class StateRestored(Fact):
    """The agents' state was read back; ``repaired`` keys were left by batches that were cut off."""

    METRICS = (
        metrics.WORKER_STATE_KEYS,
        metrics.WORKER_STATE_REPAIRED,
        metrics.WORKER_STATE_SECONDS,
    )
    LEVEL = LogLevel.INFO

    seconds: float
    partitions: int
    keys: int
    repaired: int

    def record(self, series: Series) -> None:
        series.add(metrics.WORKER_STATE_KEYS, self.keys)
        series.add(metrics.WORKER_STATE_REPAIRED, self.repaired)
        series.observe(metrics.WORKER_STATE_SECONDS, self.seconds)


FACTS: tuple[type[Fact], ...] = tuple(
    value
    for value in list(globals().values())
    if isinstance(value, type) and issubclass(value, Fact) and value is not Fact
)
"""Every fact, in the order of this file."""
