"""
Explaining one decision: what was decided, by which rules, on what consent, and what came since.

Pure but for what it is handed: the decision, the policy's files as archived, and the ledger of the
person. Holds no number: a decision and a ledger have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from streams.errors import PolicyInvalid
from streams.policy.analysis.change import Change, smallest_change
from streams.policy.analysis.outcomes import Analysis
from streams.policy.facts import Facts
from streams.policy.policy import Policy, load_policy_files
from streams.policy.rules import Rule
from streams.records.decisions import LedgerRecord, Outcome, PolicyArchived, SmsDecision
from streams.records.events import ConsentKind

_VERSIONS_KEPT: Final = 4
"""Policies that are kept loaded and analysed: one person's decisions seldom lie under more."""


@dataclass(frozen=True, slots=True)
class RuleSaid:
    """One rule as it stood in the policy that decided."""

    id: str
    text: str
    cites: tuple[str, ...]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class ReasonGiven:
    """A reason that was recorded, and the rules that gave it; none where it came before any."""

    code: str
    rules: tuple[RuleSaid, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    All there is to say about one decision.

    ``policy`` is the name and edition of the policy that decided, or why its rules cannot be told.
    ``allowed_by`` is the rule whose basis carried it. ``observed`` are the rules that matched and
    are not enforced, those that can be told. ``consent`` is the event that the decision
    names: the yes that carried it, or the no or the lapsed yes that did not. ``since`` are the
    person's later events that concern such a message, oldest first, refused ones included.
    ``smallest_change`` is the fewest facts that would have had to be others for that policy to
    allow it: empty where it was allowed, or where facts or rules cannot be read any more; null
    where no message of this purpose is ever allowed.
    """

    decision: SmsDecision
    policy: str
    reasons: tuple[ReasonGiven, ...]
    allowed_by: RuleSaid | None
    observed: tuple[RuleSaid, ...]
    consent: LedgerRecord | None
    since: tuple[LedgerRecord, ...]
    smallest_change: tuple[Change, ...] | None

    @property
    def changed_since(self) -> bool:
        """Whether an event that was applied since could make the decision another one."""
        return any(record.refusal is None for record in self.since)


def explain(
    decision: SmsDecision, archived: PolicyArchived | None, ledger: Sequence[LedgerRecord]
) -> Explanation:
    """Put together what is known. ``ledger`` is all of this person, oldest first."""
    policy, about = _policy_of(decision, archived)
    return Explanation(
        decision=decision,
        policy=about,
        reasons=_reasons(decision, policy),
        allowed_by=_allowing(decision, policy),
        observed=_observed(decision, policy),
        consent=_consent(decision, ledger),
        since=tuple(
            record
            for record in ledger
            if record.offset >= decision.consent_offset and _concerns(record, decision)
        ),
        smallest_change=_smallest_change(decision, policy),
    )


def _policy_of(decision: SmsDecision, archived: PolicyArchived | None) -> tuple[Policy | None, str]:
    if archived is None:
        return None, "not in the archive: its rules cannot be told"
    policy = _loaded(decision.policy_version, tuple(archived.files.items()))
    if policy is None:
        return None, "this version of consent-gate cannot read its rules any more"
    return policy, f"{policy.name}, edition {policy.edition}"


@lru_cache(maxsize=_VERSIONS_KEPT)
def _loaded(version: str, files: tuple[tuple[str, str], ...]) -> Policy | None:
    """Load a version once, however many decisions are explained by it; None if it is unreadable."""
    try:
        return load_policy_files(dict(files), f"policy {version[:12]}")
    except PolicyInvalid:
        return None


@lru_cache(maxsize=_VERSIONS_KEPT)
def _analysed(policy: Policy) -> Analysis:
    return Analysis(policy)


def _reasons(decision: SmsDecision, policy: Policy | None) -> tuple[ReasonGiven, ...]:
    objecting: Sequence[Rule] = ()
    if policy is not None:
        facts = Facts.from_map(decision.facts)
        if facts is not None:
            objecting = policy.objections(facts, decision.decided_at)
        else:
            # Decided with another vocabulary: the rules that give such reasons, whichever objected.
            objecting = policy.rules
    return tuple(
        ReasonGiven(
            code,
            tuple(
                _said(rule)
                for rule in objecting
                if rule.reason is not None and rule.reason.value == code
            ),
        )
        for code in decision.reasons
    )


def _smallest_change(decision: SmsDecision, policy: Policy | None) -> tuple[Change, ...] | None:
    facts = Facts.from_map(decision.facts)
    if policy is None or facts is None or decision.verdict is Outcome.ALLOWED:
        return ()
    return smallest_change(_analysed(policy), facts, decision.decided_at)


def _allowing(decision: SmsDecision, policy: Policy | None) -> RuleSaid | None:
    if policy is None or decision.basis is None:
        return None
    rule = policy.rule_for_basis(decision.basis)
    return None if rule is None else _said(rule)


def _observed(decision: SmsDecision, policy: Policy | None) -> tuple[RuleSaid, ...]:
    if policy is None:
        return ()
    return tuple(_said(rule) for rule in policy.observed if rule.id in decision.observed)


def _said(rule: Rule) -> RuleSaid:
    return RuleSaid(rule.id, rule.text, rule.cites, rule.file, rule.line)


def _consent(decision: SmsDecision, ledger: Sequence[LedgerRecord]) -> LedgerRecord | None:
    """Find the event that the decision names, as it had been applied by then."""
    if decision.consent_event_id is None:
        return None
    named = [
        record
        for record in ledger
        if record.event_id == decision.consent_event_id
        and record.refusal is None
        and record.offset < decision.consent_offset
    ]
    return named[-1] if named else None


def _concerns(record: LedgerRecord, decision: SmsDecision) -> bool:
    """Whether such an event says something about such a message."""
    match record.kind:
        case ConsentKind.GRANTED | ConsentKind.WITHDRAWN:
            return (
                record.purpose in (None, decision.purpose)
                and record.sender_id in (None, decision.sender_id)
                and record.campaign_id in (None, decision.campaign_id)
            )
        case _:
            return True
