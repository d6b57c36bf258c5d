"""An explanation says what the rules of that time said, and what came since."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streams.audit.explain import Explanation, explain
from streams.audit.meanings import EVENTS, OUTCOMES, REASONS, REFUSALS, SOURCES, what_becomes
from streams.audit.words import in_a_line, in_words
from streams.policy.facts import Facts, nothing_known
from streams.policy.policy import Policy, load_policy
from streams.policy.reasons import Reason
from streams.policy.verdicts import Allow, Drop
from streams.policy.vocabulary import Names, Upload
from streams.records.decisions import (
    LedgerRecord,
    Outcome,
    PolicyArchived,
    Refusal,
    Shadow,
    SmsDecision,
)
from streams.records.events import ConsentKind, Source
from streams.testing.records import A_DAY_MS, NOON, a_ledger_record, an_sms_decision
from tests.gate.bed import PLAIN_POLICY


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(PLAIN_POLICY)


@pytest.fixture(scope="module")
def archived(policy: Policy) -> PolicyArchived:
    return PolicyArchived(version=policy.version, files=policy.files, loaded_at=NOON)


def the_case(policy: Policy) -> SmsDecision:
    """Decide the invitation to somebody of whom nothing is known but an upload they were in."""
    facts: Facts = nothing_known("invite")._replace(upload=Upload.BOTH, names=Names.UNCONSENTED)
    verdict = policy.verdict(facts, NOON)
    assert isinstance(verdict, Drop)
    return an_sms_decision(
        decision_id="sms.requested-0-7-0",
        purpose="invite",
        campaign_id=None,
        verdict=Outcome.DROPPED,
        basis=None,
        consent_event_id=None,
        reasons=tuple(reason.value for reason in verdict.reasons),
        policy_version=policy.version,
        facts=facts.as_map(),
        consent_offset=3,
    )


def later(**changes: object) -> LedgerRecord:
    changes = {"event_id": "later", "offset": 9, "sequence": 4, "occurred_at": NOON} | changes
    return a_ledger_record(**changes)


def test_each_reason_comes_with_the_rule_that_gave_it_and_its_source(
    policy: Policy, archived: PolicyArchived
) -> None:
    explanation = explain(the_case(policy), archived, [])

    by_code = {reason.code: reason for reason in explanation.reasons}
    assert {"PLATFORM_INITIATED", "NAMES_THIRD_PARTY", "NO_CONSENT"} <= by_code.keys()
    for reason in explanation.reasons:
        assert reason.rules
        for rule in reason.rules:
            assert rule.text
            assert rule.cites
    assert by_code["NO_CONSENT"].rules[0].file == "person.yaml"


def test_it_says_the_smallest_change_by_which_a_message_would_have_passed(
    policy: Policy, archived: PolicyArchived
) -> None:
    decision = the_case(policy)
    explanation = explain(decision, archived, [])
    changes = explanation.smallest_change
    assert changes
    assert {"consent", "names"} <= {change.fact for change in changes}
    facts = Facts.from_map(decision.facts | {change.fact: change.would_be for change in changes})
    assert facts is not None
    assert isinstance(policy.verdict(facts, NOON), Allow)
    words = " ".join(in_words(explanation).split())
    assert "What would have allowed it" in words
    assert "names is UNCONSENTED, and would have to be" in words


def test_what_was_allowed_or_cannot_be_read_needs_no_change(
    policy: Policy, archived: PolicyArchived
) -> None:
    allowed = an_sms_decision(policy_version=policy.version)
    unreadable = replace(the_case(policy), facts={"colour": "RED"})
    for decision, archive in (
        (allowed, archived),
        (unreadable, archived),
        (the_case(policy), None),
    ):
        explanation = explain(decision, archive, [])
        assert explanation.smallest_change == ()
        assert "would have" not in in_words(explanation)


def test_the_words_hold_verdict_reasons_rules_sources_facts_and_offsets(
    policy: Policy, archived: PolicyArchived
) -> None:
    decision = the_case(policy)

    text = in_words(explain(decision, archived, []))
    words = " ".join(text.split())

    assert "Decision sms.requested-0-7-0" in words
    assert "was dropped: it never reached the carrier" in words
    assert f"NO_CONSENT: {REASONS[Reason.NO_CONSENT]} (final: nobody can release it)" in words
    assert "Rule no-consent (person.yaml:" in words
    assert "Source: Civil Code (2021-01-01) 1033(1) (CN)" in words
    assert "upload BOTH" in words
    assert "consent.events 3, contacts.entries 0, campaigns 0, names.consents 0" in words
    assert "The person had said nothing" in words
    assert "Since then nothing that concerns such a message has come." in words
    assert max(map(len, text.splitlines())) <= 96


def test_an_allowed_message_names_the_rule_and_the_consent_that_carried_it(
    policy: Policy, archived: PolicyArchived
) -> None:
    basis = next(rule.basis for rule in policy.rules if rule.basis is not None)
    decision = an_sms_decision(basis=basis, policy_version=policy.version)

    explanation = explain(decision, archived, [a_ledger_record()])
    words = " ".join(in_words(explanation).split())

    assert explanation.allowed_by == explain(decision, archived, []).allowed_by
    assert explanation.allowed_by is not None
    assert explanation.consent == a_ledger_record()
    assert f"allowed on the basis {basis}" in words
    assert "What counted: 2025-12-31 12:00:00 UTC: agreed (marketing)" in words
    assert "by the person's own settings (event event-1" in words


@pytest.mark.parametrize(
    ("record", "concerns"),
    [
        (later(kind=ConsentKind.WITHDRAWN, purpose=None), True),
        (later(kind=ConsentKind.WITHDRAWN, purpose="marketing", campaign_id="spring"), True),
        (later(kind=ConsentKind.WITHDRAWN, purpose="invite"), False),
        (later(kind=ConsentKind.WITHDRAWN, purpose=None, campaign_id="autumn"), False),
        (later(kind=ConsentKind.WITHDRAWN, purpose=None, sender_id="BANK"), False),
        (later(kind=ConsentKind.ERASURE_REQUESTED, purpose=None), True),
        (later(kind=ConsentKind.WITHDRAWN, purpose=None, offset=0), False),  # was seen then
    ],
)
def test_what_came_since_is_told_if_it_concerns_such_a_message(
    record: LedgerRecord, concerns: bool
) -> None:
    explanation = explain(an_sms_decision(consent_offset=1), None, [a_ledger_record(), record])

    assert explanation.since == ((record,) if concerns else ())
    assert explanation.changed_since is concerns


def test_a_refused_event_changes_nothing_but_is_told() -> None:
    refused = later(refusal=Refusal.WEAK_SOURCE, source=Source.BULK_IMPORT)

    explanation = explain(an_sms_decision(), None, [refused])
    words = " ".join(in_words(explanation).split())

    assert explanation.since == (refused,)
    assert explanation.changed_since is False
    assert "Since then this has come, but was not applied:" in words
    assert "refused: such a source does not undo the person's own withdrawal" in words


def test_the_consent_is_the_event_as_it_was_applied_not_its_repetition() -> None:
    repeated = a_ledger_record(offset=5, sequence=1, refusal=Refusal.DUPLICATE)
    decision = an_sms_decision(consent_offset=6)

    assert explain(decision, None, [a_ledger_record(), repeated]).consent == a_ledger_record()


def test_the_consent_is_not_one_that_came_only_afterwards() -> None:
    again = a_ledger_record(offset=7, sequence=1)

    assert explain(an_sms_decision(), None, [a_ledger_record(), again]).consent == a_ledger_record()


def test_a_consent_that_the_ledger_lost_is_said_to_be_lost() -> None:
    words = " ".join(in_words(explain(an_sms_decision(), None, [])).split())

    assert "event event-1, which the ledger does not have" in words


def test_without_the_archived_policy_reasons_still_have_their_meaning(policy: Policy) -> None:
    words = " ".join(in_words(explain(the_case(policy), None, [])).split())

    assert REASONS[Reason.NO_CONSENT] in words
    assert "not in the archive" in words


def test_a_policy_that_cannot_be_read_any_more_is_no_failure(policy: Policy) -> None:
    broken = PolicyArchived(version=policy.version, files={"policy.yaml": "["}, loaded_at=NOON)

    words = " ".join(in_words(explain(the_case(policy), broken, [])).split())

    assert "cannot read its rules any more" in words


def test_facts_of_another_vocabulary_show_the_rules_that_give_such_reasons(
    policy: Policy, archived: PolicyArchived
) -> None:
    old = replace(the_case(policy), facts={"colour": "RED"}, reasons=("NO_CONSENT", "OF_OLD"))

    explanation = explain(old, archived, [])

    assert explanation.reasons[0].rules
    assert explanation.reasons[1].rules == ()
    assert "does not know the reason any more" in in_words(explanation)


def test_a_held_message_says_until_when_and_a_later_attempt_says_so() -> None:
    held = an_sms_decision(
        verdict=Outcome.QUARANTINED,
        basis=None,
        reasons=("CAMPAIGN_PAUSED",),
        hold_until=NOON + A_DAY_MS,
        attempt=2,
    )

    explanation: Explanation = explain(held, None, [])
    words = " ".join(in_words(explanation).split())

    assert "was held back" in words
    assert "To be decided again after 2026-01-02 12:00:00 UTC" in words
    assert "as attempt 2" in words
    assert in_a_line(held).endswith("QUARANTINED  CAMPAIGN_PAUSED")


def test_every_code_has_a_meaning() -> None:
    assert REASONS.keys() == set(Reason)
    assert OUTCOMES.keys() == set(Outcome)
    assert EVENTS.keys() == set(ConsentKind)
    assert SOURCES.keys() == set(Source)
    assert REFUSALS.keys() == set(Refusal)
    assert all(what_becomes(reason.value) for reason in Reason)


def test_what_had_no_effect_is_told_as_that() -> None:
    sound = load_policy(PLAIN_POLICY)
    watched = "rules:\n  - " + "\n    ".join(
        (
            "id: more-strict",
            "text: Nothing to those of whom nothing is known.",
            "when: member == Member.NO",
            "then: drop",
            "reason: NO_CONSENT",
            "cites: A plan",
            "observe: true",
        )
    )
    manifest = sound.files["policy.yaml"].replace("rules:\n", "rules:\n  - watched.yaml\n")
    files = sound.files | {"policy.yaml": manifest, "watched.yaml": watched}
    decision = replace(
        the_case(sound),
        observed=("more-strict",),
        shadow=Shadow("0123456789abcdef", Outcome.QUARANTINED, ("ZONE_UNKNOWN",)),
    )

    explanation = explain(decision, PolicyArchived("version", files, NOON), [])
    assert [rule.id for rule in explanation.observed] == ["more-strict"]
    words = " ".join(in_words(explanation).split())
    assert "Observed, not enforced: rule more-strict matched." in words
    assert "Rule more-strict (watched.yaml:2): Nothing to those" in words
    assert "The candidate policy 0123456789abcdef made it QUARANTINED: ZONE_UNKNOWN." in words
    assert "NO_CONSENT" in words

    without_archive = " ".join(in_words(explain(decision, None, [])).split())
    assert "Observed, not enforced: rule more-strict matched." in without_archive
    assert "Had no effect" not in in_words(explain(the_case(sound), None, []))
