"""
Replay: decisions derived again from their stamps, and compared (guarantee I6).

A decision is derived from its request, from the state that its offsets stamp and by the policy
version that it names, at the time it was made. Where part of that is not kept, it is counted as not
derivable, with why, never as agreeing; only that its verdict follows from the facts that it records
is looked at then.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, assert_never

from streams.audit.archive import Archive, Unsaid
from streams.audit.history import History
from streams.audit.in_processes import in_processes
from streams.audit.opening import open_history
from streams.audit.seen import Seen, Why
from streams.audit.topic_log import Progress, Watch
from streams.config import Settings
from streams.policy.facts import Facts
from streams.policy.policy import Policy
from streams.policy.reasons import Reason
from streams.policy.verdicts import Allow, Drop, Quarantine, Verdict
from streams.records.decisions import Outcome, SmsDecision
from streams.records.requests import SmsRequested
from streams.topology import SMS_DECISIONS

MOST_TOLD: Final = 100
"""Differences that a partition's report names one by one. All of them are counted."""

_FOLLOWING: Final = frozenset({"verdict", "reasons", "basis", "hold_until", "consent_event_id"})
"""What follows from facts and times."""

_CHANGED: Final = ("changed", "changed")
_NOT_OURS: Final = "none of ours"
_REASONS: Final = frozenset(reason.value for reason in Reason)
_BASIS: Final = re.compile("[A-Z_]{0,64}")


_SEVERAL: Final = "several parts of the history are gone"


@dataclass(frozen=True, slots=True)
class Difference:
    """
    One decision that is not what its stamps give.

    ``offset`` is its own in ``sms.decisions``. ``fields`` says what differs: recorded and derived,
    or ``changed`` for what may be anybody's own text. Facts are named ``facts.<name>``.
    """

    partition: int
    offset: int
    request_offset: int
    attempt: int
    sequence: int
    fields: Mapping[str, tuple[str, str]]


@dataclass(slots=True)
class ReplayReport:
    """What came of one partition."""

    partition: int
    agreeing: int = 0
    differing: int = 0
    underivable: Counter[str] = field(default_factory=Counter)
    """By why."""
    follows: int = 0
    """Of those that cannot be derived: how many verdicts follow from the facts they record."""
    differences: list[Difference] = field(default_factory=list)
    """The first :data:`MOST_TOLD`."""

    @property
    def decisions(self) -> int:
        """All that were looked at."""
        return self.agreeing + self.differing + self.underivable.total()


def replay_topics(
    settings: Settings,
    partitions: Sequence[int],
    since: int,
    until: int | None,
    jobs: int,
    watch: Watch = lambda what, offsets: lambda done: None,
) -> list[ReplayReport]:
    """
    Derive the decisions of these partitions, ``jobs`` of them at a time.

    ``since`` and ``until`` (excluded) are milliseconds since the epoch, compared with the time of a
    decision. Blocks: about 8,000 decisions a second and process (one core, 120 µs each). Raises
    what :class:`streams.audit.topic_log.TopicLog` does, and :class:`streams.errors.SecretsError`
    where a key is missing.
    """
    tasks = [partial(_replayed, settings, number, since, until) for number in partitions]
    return in_processes(tasks, jobs, watch)


def _replayed(
    settings: Settings, partition: int, since: int, until: int | None, watch: Watch
) -> ReplayReport:
    with open_history(settings, partition) as (history, archive):
        progress = watch(f"{SMS_DECISIONS.name} {partition}", history.decisions)
        return replay_partition(history, partition, archive, since, until, progress)


def replay_partition(
    history: History,
    partition: int,
    archive: Archive,
    since: int,
    until: int | None,
    progress: Progress,
) -> ReplayReport:
    """Derive every decision of a partition in a period."""
    report = ReplayReport(partition)
    for seen in history.seen(since, until, archive.horizon_ms(), progress):
        _replay(seen, archive, report)
    return report


def _replay(seen: Seen, archive: Archive, report: ReplayReport) -> None:
    decision = seen.decision
    policy = archive.policy(decision.policy_version)
    if isinstance(policy, Unsaid):
        report.underivable[policy.value] += 1
        return
    if seen.why is Why.UNREAD:
        report.underivable[seen.why.value] += 1
        return
    if Facts.from_map(decision.facts) is None:
        report.underivable[Unsaid.OTHER_FACTS.value] += 1
        return
    if seen.impossible:
        _differs(seen, dict.fromkeys(seen.impossible, ("stamped", "impossible")), report)
        return
    if seen.why is not None:
        _rests_on_facts(seen, policy, seen.why.value, report)
        return
    fields = _differences(seen, policy)
    if not fields:
        report.agreeing += 1
        return
    gaps = sorted(seen.gaps, key=lambda gap: gap.name)
    for gap in gaps:
        if _explains(gap.facts, fields):
            _rests_on_facts(seen, policy, gap.text, report)
            return
    if _explains(frozenset().union(*(gap.facts for gap in gaps)), fields):
        _rests_on_facts(seen, policy, _SEVERAL, report)
        return
    _differs(seen, fields, report)


def _differs(seen: Seen, fields: Mapping[str, tuple[str, str]], report: ReplayReport) -> None:
    report.differing += 1
    if len(report.differences) < MOST_TOLD:
        decision = seen.decision
        report.differences.append(
            Difference(
                report.partition,
                seen.offset,
                decision.request_offset,
                decision.attempt,
                decision.sequence,
                fields,
            )
        )


def _explains(facts: frozenset[str], fields: Mapping[str, tuple[str, str]]) -> bool:
    """
    Whether a hole in the history can be why these fields differ.

    It must be able to change every fact that does. Verdict and reasons follow from facts: where no
    fact differs they have to agree. Which grant it was and until when it is held may be others all
    the same.
    """
    told = {name.removeprefix("facts.") for name in fields if name.startswith("facts.")}
    own = {name for name in fields if not name.startswith("facts.")}
    if told:
        return told <= facts and own <= _FOLLOWING
    if "consent" in facts:
        return own <= {"consent_event_id", "hold_until"}
    return "frequency" in facts and own <= {"hold_until"}


def _rests_on_facts(seen: Seen, policy: Policy, why: str, report: ReplayReport) -> None:
    """Count a decision that cannot be derived; see that its verdict follows from its own facts."""
    decision = seen.decision
    facts = Facts.from_map(decision.facts)
    if facts is None:
        raise ValueError("the facts of a decision were read before")
    verdict = policy.verdict(facts, decision.decided_at)
    fields: dict[str, tuple[str, str]] = {}
    _compare_verdict(decision, verdict, fields, timed=False)
    if fields:
        _differs(seen, fields, report)
        return
    report.underivable[why] += 1
    report.follows += 1


def _differences(seen: Seen, policy: Policy) -> dict[str, tuple[str, str]]:
    decision, request = seen.decision, seen.request
    if request is None:
        raise ValueError("a decision without its request cannot be derived")
    fields = _of_request(seen, request)
    if fields:
        # It is not about this request: what else differs says nothing.
        return fields
    assessment = seen.assessed(policy)
    derived, recorded = assessment.facts.as_map(), decision.facts
    for name in derived:
        if derived[name] != recorded[name]:
            private = name == "purpose"
            said = _CHANGED if private else (recorded[name], derived[name])
            fields[f"facts.{name}"] = said
    if assessment.consent_event_id != decision.consent_event_id:
        fields["consent_event_id"] = _CHANGED
    _compare_verdict(decision, policy.decide(assessment), fields, timed=True)
    return fields


def _of_request(seen: Seen, request: SmsRequested) -> dict[str, tuple[str, str]]:
    """Compare what a decision repeats of its request; none of it is told: it may be a number."""
    decision = seen.decision
    repeated = {
        "subject_id": (decision.subject_id, seen.recipient_id),
        "request_id": (decision.request_id, request.request_id),
        "purpose": (decision.purpose, request.purpose),
        "campaign_id": (decision.campaign_id, request.campaign_id),
        "sender_id": (decision.sender_id, request.sender_id),
        "template_id": (decision.template_id, request.template_id),
    }
    return {name: _CHANGED for name, (one, other) in repeated.items() if one != other}


def _compare_verdict(
    decision: SmsDecision, verdict: Verdict, fields: dict[str, tuple[str, str]], *, timed: bool
) -> None:
    outcome, reasons, basis, hold_until = parts_of(verdict)
    pairs: dict[str, tuple[object, object]] = {
        "verdict": (decision.verdict.value, outcome.value),
        "reasons": (decision.reasons, tuple(each.value for each in reasons)),
        "basis": (decision.basis or "", basis or ""),
    }
    if timed:
        pairs["hold_until"] = (decision.hold_until or "", hold_until or "")
    for name, (recorded, derived) in pairs.items():
        if recorded != derived:
            fields[name] = (_told(name, recorded), _told(name, derived))


def _told(name: str, value: object) -> str:
    """Say a value; a record that was changed may hold anything, and nothing of that is repeated."""
    match name, value:
        case "reasons", tuple():
            return " ".join(each if each in _REASONS else _NOT_OURS for each in value)
        case "basis", str():
            return value if _BASIS.fullmatch(value) else _NOT_OURS
        case _:
            return str(value)


def parts_of(
    verdict: Verdict,
) -> tuple[Outcome, tuple[Reason, ...], str | None, int | None]:
    """Take a verdict apart as a decision records it: outcome, reasons, basis, end of the hold."""
    match verdict:
        case Allow(basis=basis):
            return Outcome.ALLOWED, (), basis, None
        case Quarantine(reasons=reasons, hold_until=hold_until):
            return Outcome.QUARANTINED, reasons, None, hold_until
        case Drop(reasons=reasons):
            return Outcome.DROPPED, reasons, None, None
        case _:
            assert_never(verdict)
