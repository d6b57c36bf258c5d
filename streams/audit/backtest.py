"""
Backtest: recorded requests decided by another policy, with the history that they had.

Facts are read anew by the other policy, since its registers, hours, caps and confirmations are its
own. What was sent before, and what may be sent once, is as it was recorded: had the other policy
decided the earlier messages too, some of that would be otherwise.

A hold that was decided again is tried again at the same times, as long as the other policy still
holds the request: what it would have ended before has no later attempt. When it would have looked
again itself is not known: its hours and slots may be others.

A verdict that comes out otherwise is told as a flip only where the policy of then, asked in the
same way, still gives the verdict that was recorded: else it is the history that differs, not the
policy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from streams.audit.archive import Archive, Unsaid
from streams.audit.history import History
from streams.audit.in_processes import in_processes
from streams.audit.opening import open_history
from streams.audit.replay import parts_of
from streams.audit.seen import Seen
from streams.audit.topic_log import Progress, Watch
from streams.config import Settings
from streams.policy.facts import Assessment
from streams.policy.policy import Policy, load_policy
from streams.policy.reasons import Reason
from streams.policy.verdicts import Allow, Verdict
from streams.records.decisions import Outcome
from streams.topology import SMS_DECISIONS, SMS_REQUESTED

NO_RULE: Final = "(no rule allows)"
NO_CAMPAIGN: Final = "(no campaign)"
UNDERIVABLE: Final = "its recorded verdict cannot be derived again: see `consent-gate replay`"


class Flip(NamedTuple):
    """
    One way in which verdicts come out otherwise: what they have in common.

    ``old_rules`` are those of the policy of then that gave its verdict and do not give it under the
    other, ``new_rules`` those of the other that give its. Jurisdiction is the other policy's fact.
    """

    before: Outcome
    after: Outcome
    campaign: str
    jurisdiction: str
    old_rules: tuple[str, ...]
    new_rules: tuple[str, ...]


@dataclass(slots=True)
class BacktestReport:
    """What came of a number of partitions. ``examples`` names one decision id for each flip."""

    tried: int = 0
    again: int = 0
    """Of those tried: how many are later attempts at what was held."""
    settled_before: int = 0
    """Later attempts that there would not have been: the other policy ended the request before."""
    same: int = 0
    """Of those tried: how many verdicts are the same; some for other reasons."""
    other_reasons: int = 0
    flips: Counter[Flip] = field(default_factory=Counter)
    examples: dict[Flip, str] = field(default_factory=dict)
    untried: Counter[str] = field(default_factory=Counter)
    """Decisions that could not be tried, by why."""

    @property
    def flipped(self) -> int:
        """How many verdicts come out otherwise."""
        return self.flips.total()

    def add(self, other: BacktestReport) -> None:
        """Add another partition's."""
        self.tried += other.tried
        self.again += other.again
        self.settled_before += other.settled_before
        self.same += other.same
        self.other_reasons += other.other_reasons
        self.flips += other.flips
        self.untried += other.untried
        self.examples = other.examples | self.examples


def backtest_topics(
    settings: Settings,
    directory: Path,
    partitions: Sequence[int],
    since: int,
    until: int | None,
    jobs: int,
    watch: Watch = lambda what, offsets: lambda done: None,
) -> BacktestReport:
    """
    Try the policy in ``directory`` on the decisions of these partitions, ``jobs`` at a time.

    ``since`` and ``until`` are those of :func:`streams.audit.replay.replay_topics`, and so is what
    it raises; and :class:`streams.errors.PolicyInvalid`.
    """
    load_policy(directory)  # a mistake is told before anything is read
    tasks = [partial(_tried, settings, directory, each, since, until) for each in partitions]
    whole = BacktestReport()
    for report in in_processes(tasks, jobs, watch):
        whole.add(report)
    return whole


def _tried(
    settings: Settings,
    directory: Path,
    partition: int,
    since: int,
    until: int | None,
    watch: Watch,
) -> BacktestReport:
    policy = load_policy(directory)
    with open_history(settings, partition) as (history, archive):
        progress = watch(f"{SMS_DECISIONS.name} {partition}", history.decisions)
        return backtest_partition(history, archive, policy, since, until, progress)


def backtest_partition(
    history: History,
    archive: Archive,
    policy: Policy,
    since: int,
    until: int | None,
    progress: Progress,
) -> BacktestReport:
    """
    Try ``policy`` on every decision of a partition in a period.

    Of a request whose earlier attempts lie before the period, or cannot be tried, the later ones
    are tried as if the policy had held it then.
    """
    report = BacktestReport()
    settled: set[int] = set()
    """Offsets of requests that wait in the history, and that the policy would have ended."""
    horizon_ms = max(policy.caps.horizon_ms, archive.horizon_ms())
    for seen in history.seen(since, until, horizon_ms, progress):
        decision = seen.decision
        offset, held = decision.request_offset, decision.verdict is Outcome.QUARANTINED
        if decision.attempt > 0 and offset in settled:
            report.settled_before += 1
            if not held:
                settled.remove(offset)
        elif seen.why is not None:
            report.untried[seen.why.value] += 1
        elif seen.request is None or seen.impossible:
            report.untried[UNDERIVABLE] += 1
        elif _ends(seen, archive, policy, report) and held:
            settled.add(offset)
    return report


def _ends(seen: Seen, archive: Archive, policy: Policy, report: BacktestReport) -> bool:
    """Try one decision, and say whether the policy would certainly have ended the request by it."""
    decision = seen.decision
    assessment = seen.assessed(policy)
    verdict = policy.decide(assessment)
    outcome, reasons, _, _ = parts_of(verdict)
    if outcome is decision.verdict:
        _count_tried(seen, report)
        report.same += 1
        if tuple(reason.value for reason in reasons) != decision.reasons:
            report.other_reasons += 1
        return outcome is not Outcome.QUARANTINED
    before = archive.policy(decision.policy_version)
    if isinstance(before, Unsaid):
        report.untried[before.value] += 1
        return False
    old = seen.assessed(before)
    old_verdict = before.decide(old)
    if parts_of(old_verdict)[0] is not decision.verdict:
        report.untried[UNDERIVABLE] += 1
        return False
    _count_tried(seen, report)
    old_rules = _rules(before, old, old_verdict)
    new_rules = _rules(policy, assessment, verdict)
    flip = Flip(
        decision.verdict,
        outcome,
        decision.campaign_id or NO_CAMPAIGN,
        assessment.facts.jurisdiction.name,
        _only(old_rules, new_rules),
        _only(new_rules, old_rules),
    )
    report.flips[flip] += 1
    place = f"{decision.request_partition}-{decision.request_offset}-{decision.attempt}"
    report.examples.setdefault(flip, f"{SMS_REQUESTED.name}-{place}")
    return outcome is not Outcome.QUARANTINED


def _count_tried(seen: Seen, report: BacktestReport) -> None:
    report.tried += 1
    report.again += seen.decision.attempt > 0


def _rules(policy: Policy, assessment: Assessment, verdict: Verdict) -> tuple[str, ...]:
    """Name what gave a verdict: rules, or the reason that comes before or without any."""
    if isinstance(verdict, Allow):
        rule = policy.rule_for_basis(verdict.basis)
        return () if rule is None else (rule.id,)
    objecting = policy.objections(assessment.facts, assessment.assessed_at)
    if objecting:
        return tuple(rule.id for rule in objecting)
    return tuple(
        NO_RULE if reason is Reason.NO_BASIS else f"({reason.value})" for reason in verdict.reasons
    )


def _only(these: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    """What stands in these and not in the others; all of these where that is nothing."""
    these, others = tuple(these), set(others)
    return tuple(each for each in these if each not in others) or these
