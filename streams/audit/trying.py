"""
Deciding made-up cases: by the very fold, reading and policy that the gate decides by.

Pure. What stands in for Kafka is only the order of a case's history and its append times; what
stands in for the gate's loop is that everything in the history is folded before the request is
decided, as the barrier has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_never

from streams.policy.caps import kind_of
from streams.policy.cases.cases import Case, HistoryItem, made_up_id
from streams.policy.facts import Assessment, SentBefore, assess
from streams.policy.once import after_decision, answered_message
from streams.policy.policy import Policy
from streams.policy.reasons import Reason
from streams.policy.rules import Rule
from streams.policy.verdicts import Allow, Drop, Quarantine, Verdict
from streams.records.decisions import Outcome, Refusal, SmsDecision
from streams.records.events import Campaign, ConsentEvent, ContactEntry, NameConsent
from streams.records.subject import SubjectState
from streams.records.templates import Template, template_key
from streams.state.broadcast import CampaignTable, NameConsentTable, TemplateTable
from streams.state.fold import fold_consent
from streams.state.fold_contacts import fold_contact
from streams.state.sends import entry_of_decision, request_digest, sent_before, with_entry


@dataclass(frozen=True, slots=True)
class Tried:
    """
    What came of one case, and what was known when it was decided.

    ``refused`` are the items of its history that the fold did not apply, each with why.
    ``observed`` are the rules that matched and are not enforced.
    """

    case: Case
    verdict: Verdict
    assessment: Assessment
    state: SubjectState | None
    names: NameConsentTable
    campaigns: CampaignTable
    refused: tuple[tuple[HistoryItem, Refusal], ...]
    observed: tuple[Rule, ...]

    @property
    def outcome(self) -> Outcome:
        """How the request ends at this first attempt."""
        match self.verdict:
            case Allow():
                return Outcome.ALLOWED
            case Quarantine():
                return Outcome.QUARANTINED
            case Drop():
                return Outcome.DROPPED
            case _:
                assert_never(self.verdict)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """All that objected, the severest first."""
        return () if isinstance(self.verdict, Allow) else self.verdict.reasons

    @property
    def basis(self) -> str | None:
        """The basis of the rule that allows it; null where it is not allowed."""
        return self.verdict.basis if isinstance(self.verdict, Allow) else None

    @property
    def hold_until(self) -> int | None:
        """When it is decided again by itself; null where it is not, or that is not a time."""
        return self.verdict.hold_until if isinstance(self.verdict, Quarantine) else None

    @property
    def releasable(self) -> bool:
        """Whether it is held, and a reviewer may release it from everything that holds it."""
        return isinstance(self.verdict, Quarantine) and all(
            reason.releasable for reason in self.reasons
        )

    def as_json(self) -> dict[str, Any]:
        """Give what programs read."""
        return {
            "id": self.case.id,
            "verdict": self.outcome.value,
            "reasons": [reason.value for reason in self.reasons],
            "hold_until": self.hold_until,
            "basis": self.basis,
            "facts": self.assessment.facts.as_map(),
            "releasable": self.releasable,
            "observed": [rule.id for rule in self.observed],
        }


def try_case(case: Case, policy: Policy, contact_entry_days: int) -> Tried:
    """
    Fold the history of ``case`` and decide its request by ``policy``.

    ``contact_entry_days`` is the setting of that name: how long an address-book entry counts that
    names no end. Total for any case.
    """
    states: dict[bytes, SubjectState] = {}
    names, campaigns = NameConsentTable(), CampaignTable(made_up_id)
    templates = TemplateTable()
    refused = []
    sends = b""
    for offset, item in enumerate(case.history):
        match item.record:
            case ConsentEvent():
                subject_id = made_up_id(item.record.subject)
                folded = fold_consent(
                    states.get(subject_id) or SubjectState(subject_id),
                    item.record,
                    offset=offset,
                    appended_at=item.appended_at,
                    placed=True,
                )
                states[subject_id] = folded.state
                if folded.refusal is not None:
                    refused.append((item, folded.refusal))
            case ContactEntry():
                subject_id = item.record.subject_id
                states[subject_id] = fold_contact(
                    states.get(subject_id) or SubjectState(subject_id),
                    item.record,
                    appended_at=item.appended_at,
                    kept_days=contact_entry_days,
                )
            case NameConsent():
                names.apply(item.record.subject, item.record)
            case SmsDecision():
                subject_id = item.record.subject_id
                states[subject_id] = after_decision(
                    states.get(subject_id) or SubjectState(subject_id),
                    item.record,
                    answered_message(case.request),
                )
                remembered = entry_of_decision(item.record)
                if remembered is not None and subject_id == made_up_id(case.recipient):
                    sends = with_entry(sends, remembered, case.at - policy.caps.horizon_ms)
            case Campaign():
                campaigns.apply(item.record)
            case Template():
                template = item.record
                templates.apply(template_key(template.template_id, template.version), template)
            case _:
                assert_never(item.record)
    state = states.get(made_up_id(case.recipient))
    sent = _sent_before(case, policy, sends, None if state is None else state.erased_at)
    assessment = assess(
        case.request,
        state,
        names,
        campaigns,
        case.at,
        policy.registers,
        policy.confirming,
        sent,
        templates,
        policy.lapses,
    )
    return Tried(
        case,
        policy.decide(assessment),
        assessment,
        state,
        names,
        campaigns,
        tuple(refused),
        policy.matching(policy.observing(case.at), assessment.facts),
    )


def _sent_before(case: Case, policy: Policy, sends: bytes, erased_at: int | None) -> SentBefore:
    request = case.request
    kind = kind_of(request.purpose, request.sender_id, request.campaign_id, request.template_id)
    digest = request_digest(request.request_id)
    return sent_before(sends, digest, kind, policy.caps, case.at, erased_at)
