"""
The closed sets that the labels of the metrics take their values from.

A label value that names a reason or a member of a record's enumeration is spelt as there
(``ALLOWED``); all others are lower case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

from confluent_kafka import KafkaError

from streams import errors
from streams.policy.asking import QuestionOutcome
from streams.policy.reasons import Reason, ReasonKind
from streams.records.decisions import Outcome, Refusal
from streams.records.events import ConsentKind, ContactKind
from streams.telemetry.series import OTHER, Label
from streams.topology import BY_NAME


class Step(Enum):
    """The steps of the loop, in their order."""

    TAKE = "take"
    BARRIER = "barrier"
    FOLD = "fold"
    DECIDE = "decide"
    PRODUCE = "produce"
    COMMIT = "commit"
    STORE = "store"


class TransactionResult(Enum):
    """How a Kafka transaction ended."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    """The coordinator confirmed the abort; the batch is tried again from memory."""
    REBUILT = "rebuilt"
    """Its fate is unknown: new producer, everything restored from the topics."""


class RebalanceKind(Enum):
    """What the group coordinator did to this gate's partitions."""

    ASSIGNED = "assigned"
    REVOKED = "revoked"
    LOST = "lost"
    """Gone without having been asked to give them up."""


class StallCause(Enum):
    """Why the requests of a partition wait. None of them is allowed meanwhile."""

    STATE_NOT_REACHED = "state_not_reached"
    """The barrier was not reached in time: a slow broker or a foreign open transaction."""
    STATE_UNREACHABLE = "state_unreachable"
    """The leader of a state partition does not answer."""
    REGISTRY_UNAVAILABLE = "registry_unavailable"
    """A schema id is unknown and the registry cannot be asked."""
    RESTORING = "restoring"
    """Its state is being restored after an assignment or an indefinite error."""
    OUT_OF_RANGE = "out_of_range"
    """Records that it still needs are gone from the topic."""
    BATCH_UNREADABLE = "batch_unreadable"
    """A batch in one of its topics cannot be unpacked: it is too large, or damaged."""
    STATE_UNREADABLE = "state_unreadable"
    """A record of its own state cannot be read: written by a newer version?"""
    SECRETS_MISSING = "secrets_missing"
    """A person's data key cannot be opened: its key-encryption key is not in the folder."""
    STORE_FULL = "store_full"
    """The local store has no room."""


class RestoreKind(Enum):
    """Where a restored partition started from."""

    CONTINUED = "continued"
    """From the local store."""
    REBUILT = "rebuilt"
    """From the beginning of the changelog."""


class EventOutcome(Enum):
    """What became of an event that an agent of the worker took."""

    HANDLED = "handled"
    APPLIED_BEFORE = "applied_before"
    """It came again after a restart; the agent's state had it already."""
    DEAD_LETTERED = "dead_lettered"


class StopCause(Enum):
    """Why the gate stopped."""

    ASKED = "asked"
    """SIGTERM or SIGINT."""
    FAILED = "failed"
    """An error that a person must look at; it was told before."""


class Condition(Enum):
    """What must hold before the gate is ready."""

    ASSIGNED = "assigned"
    RESTORED = "restored"
    POLICY_LOADED = "policy_loaded"
    PRODUCER_INITIALISED = "producer_initialised"


def _values(*enums: type[Enum], more: Sequence[str] = ()) -> frozenset[str]:
    return frozenset({str(member.value) for enum in enums for member in enum} | set(more))


def _descendants(error: type[BaseException]) -> frozenset[str]:
    below = (_descendants(child) for child in error.__subclasses__())
    return frozenset({error.__name__}).union(*below)


PURPOSE = Label("purpose", "A purpose that the loaded policy registers.", from_policy=True)
VERDICT = Label("verdict", "How the attempt ended.", _values(Outcome))
CANDIDATE = Label("candidate", "How it would have ended by the candidate.", _values(Outcome))
RULE = Label(
    "rule",
    "The id of a rule of the loaded policy, behind its pack's folder if it is of a pack.",
    pattern=re.compile(r"([A-Za-z0-9_.-]{1,40}/)?[a-z][a-z0-9-]{0,79}"),
)
REASON = Label("reason", "A code of the catalogue of reasons.", _values(Reason))
REASON_KIND = Label(
    "kind",
    "`block`: forbidden; `hold`: waits; `fault`: waits for a repair.",
    frozenset(kind.value.lower() for kind in ReasonKind),
)
TOPIC = Label("topic", "A topic of `streams/topology.py`, by its own name.", frozenset(BY_NAME))
CAUSE = Label(
    "cause",
    "Why nobody can judge the record.",
    frozenset(cause.cause for cause in errors.DeadLetter.__subclasses__()) | {OTHER},
)
STEP = Label("step", "A step of the loop.", _values(Step))
RESULT = Label("result", "How the transaction ended.", _values(TransactionResult))
REBALANCE = Label("kind", "What happened to the partitions.", _values(RebalanceKind))
STALL = Label("cause", "Why the partition waits.", _values(StallCause))
RESTORE = Label("kind", "Where it started from.", _values(RestoreKind))
EVENT_KIND = Label("kind", "What the event says.", _values(ConsentKind))
FOLDED = Label("result", "`applied`, or why it was refused.", _values(Refusal, more=("applied",)))
CONTACT_KIND = Label("kind", "Added or taken back.", _values(ContactKind))
CONDITION = Label("condition", "A condition of being ready.", _values(Condition))
ERROR = Label(
    "error", "A class of `streams/errors.py`.", _descendants(errors.ConsentGateError) | {OTHER}
)
CODE = Label(
    "code",
    "An error code of librdkafka, by its name.",
    frozenset(name for name in dir(KafkaError) if name.isupper()),
)
PARTITION = Label("partition", "A partition number.", pattern=re.compile(r"\d{1,6}"))
AGENT = Label(
    "agent",
    "An agent of `streams/processors/agents.py`.",
    pattern=re.compile(r"[a-z][a-z0-9-]{0,39}"),
)
EVENT_OUTCOME = Label("outcome", "What became of the event.", _values(EventOutcome))
QUESTION_OUTCOME = Label(
    "outcome", "What was written, or what became of the consent.", _values(QuestionOutcome)
)
VERSION = Label(
    "version", "One version at a time.", pattern=re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,79}")
)
