"""One or more examples of every fact, so that a test can say "each"."""

from __future__ import annotations

from streams.errors import ConfigError, RegistryUnavailable
from streams.policy.asking import QuestionOutcome
from streams.policy.reasons import Reason, ReasonKind
from streams.records.decisions import Outcome, Refusal
from streams.records.events import ConsentKind, ContactKind
from streams.telemetry import catalogue as facts
from streams.telemetry.fact import Fact
from streams.telemetry.labels import (
    Condition,
    EventOutcome,
    RebalanceKind,
    StallCause,
    Step,
    StopCause,
    TransactionResult,
)
from streams.topology import CONSENT_EVENTS, SMS_REQUESTED

PURPOSES = frozenset({"invite", "marketing", "otp"})
POLICY = facts.PolicyLoaded("a3f9c1", PURPOSES, loaded_at=1_700_000_000_000)

HOT: tuple[Fact, ...] = (
    facts.RequestsTaken(3),
    facts.VerdictsGiven({("invite", Outcome.DROPPED): 2, ("otp", "ALLOWED"): 1}),
    facts.ReasonsGiven({("invite", Reason.NO_CONSENT, ReasonKind.BLOCK): 2}),
    facts.RulesObserved({"no-consent": 2}),
    facts.CandidateJudged({("invite", Outcome.DROPPED, Outcome.ALLOWED): 2}),
    facts.BarrierReached(wait_seconds=0.002, partitions=4),
    facts.BatchDecided(records=3, bytes=600, partitions=2),
    facts.StepTimed(Step.FOLD, 0.003),
    facts.DecisionLatency([20, 30, 40]),
    facts.TransactionEnded(TransactionResult.COMMITTED, 0.02),
    facts.StateLag(1, CONSENT_EVENTS, records=5, seconds=0.5),
    facts.RequestLag(1, records=7, seconds=2.5),
    facts.HoldsWaiting(1, {"QUIET_HOURS": 4}, overdue_seconds=1.5),
    facts.ConsentEventsFolded(
        {(ConsentKind.WITHDRAWN, "applied"): 1, ("GRANTED", Refusal.LATE): 1}
    ),
    facts.ContactEntriesFolded(ContactKind.ADDED, 7),
    facts.StoreWritten(subjects=9),
    facts.EventsHandled("replies", EventOutcome.HANDLED, 4),
    facts.BatchHandled("replies", seconds=0.02),
    facts.ConfirmationsFollowed(QuestionOutcome.ASKED, 2),
    facts.WorkerLag(CONSENT_EVENTS, 1, records=3),
    facts.ConditionNeeded(Condition.ASSIGNED),
)
"""What has no line in the log: mostly what the loop emits for every batch."""

RARE: tuple[Fact, ...] = (
    facts.GateStarted("0.1.0", "gate-1"),
    facts.GateStopped(StopCause.ASKED, 0.4),
    facts.DeadLettered(SMS_REQUESTED, "undecodable", 1),
    facts.RecordsLost("sms.requested", 2, 10),
    facts.TransactionEnded(TransactionResult.ABORTED, 0.5),
    facts.Rebalanced(RebalanceKind.ASSIGNED, [0, 1]),
    facts.Rebalanced(RebalanceKind.LOST, [1]),
    facts.PartitionStalled(1, StallCause.STATE_NOT_REACHED),
    facts.PartitionResumed(1),
    facts.RestoreProgressed(0, done=10, total=40),
    facts.RestoreFinished(0, seconds=1.5, records=40, rebuilt=True),
    facts.MisplacedResent(CONSENT_EVENTS, 2),
    facts.TopicsWarned("the cluster has one broker"),
    POLICY,
    facts.PolicyRefused("rules.yaml, line 3: no such reason"),
    facts.PolicyUnchanged("a3f9c1"),
    facts.CandidateLoaded("b4e0d2"),
    facts.CandidateRefused("rules.yaml, line 3: no such reason"),
    facts.CandidateFailed(ZeroDivisionError("division by zero")),
    facts.ConditionChanged(Condition.ASSIGNED, ok=True, reason=""),
    facts.KafkaErrorSeen("_TRANSPORT", fatal=False),
    facts.PartitionForgotten(1),
    facts.WorkerStarted("0.1.0", "worker-1"),
    facts.WorkerStopped(StopCause.ASKED, 0.6),
    facts.HandlingRetried("replies", RegistryUnavailable("schema 7 is not known")),
    facts.StateRestored(seconds=0.2, partitions=2, keys=40, repaired=1),
    facts.ErrorMet(ConfigError("http_port: taken")),
)
"""What happens now and then."""

EXAMPLES: tuple[Fact, ...] = HOT + RARE
