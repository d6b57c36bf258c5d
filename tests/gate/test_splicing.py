"""Spliced bytes are the codec's, byte for byte: for any decision and any hold (Hypothesis)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.codec.codec import open_codecs
from streams.gate.splicing import (
    NO_SHADOW,
    Verdicts,
    content_bytes,
    decision_body,
    hold_body,
    shadow_bytes,
    stamp,
)
from streams.policy.facts import assess
from streams.policy.manifest import first_ms
from streams.policy.policy import Policy, load_policy
from streams.policy.verdicts import Allow
from streams.policy.vocabulary import Frequency, Jurisdiction, QuietHours
from streams.records.decisions import Outcome, QuarantinedSms, Shadow, SmsDecision
from streams.records.events import Basis, Source
from streams.resources import data_dir
from streams.state.broadcast import CampaignTable, NameConsentTable
from streams.testing.records import (
    A_SUBJECT_ID,
    NOON,
    a_campaign,
    a_grant,
    a_subject_state,
    an_sms_requested,
)
from tests.gate.bed import PLAIN_POLICY

CODECS = open_codecs()
POLICY = load_policy(PLAIN_POLICY)
DEFAULT_POLICY = Path(data_dir("policies")) / "default"
VERDICTS = Verdicts(POLICY, NOON)
WATCHED = Policy(
    name="watched",
    edition="1",
    version=POLICY.version,
    files={},
    purposes=POLICY.purposes,
    rules=(*POLICY.rules, *(replace(rule, observe=True) for rule in POLICY.rules)),
    registers=POLICY.registers,
    language=POLICY.language,
)
"""Each rule twice: enforced, and observed."""
WATCHING = Verdicts(WATCHED, NOON)
NAMES, CAMPAIGNS = NameConsentTable(), CampaignTable(str.encode)
CAMPAIGNS.apply(a_campaign(campaign_id="paused"))

texts = st.text(max_size=300)
longs = st.integers(0, 2**62) | st.sampled_from((0, 63, 64, 8191, 8192))
"""With the ends of what is looked up in a table."""

requests = st.builds(
    an_sms_requested,
    request_id=texts | st.sampled_from((8190, 8191, 8192)).map("r".__mul__),
    purpose=st.sampled_from(("marketing", "otp", "transactional", "unheard of")),
    campaign_id=st.none() | st.sampled_from(("paused", "spring")),
    sender_id=texts,
    template_id=st.none() | texts,
    valid_until=st.none() | st.integers(NOON - 10, NOON + 10),
)
shadows = st.none() | st.builds(
    Shadow, texts, st.sampled_from(Outcome), st.lists(texts, max_size=3).map(tuple)
)
states = st.none() | st.builds(
    lambda basis, source, undecodable: a_subject_state(
        grants=(a_grant(basis=basis, source=source),), undecodable=undecodable
    ),
    st.sampled_from(tuple(Basis)),
    st.sampled_from(tuple(Source)),
    st.sampled_from(((), (7,))),
)


@settings(deadline=None)
@given(request=requests, state=states, numbers=st.tuples(*[longs] * 6), data=st.data())
def test_a_spliced_decision_and_hold_are_what_the_codec_writes(  # type: ignore[no-untyped-def]
    request, state, numbers, data
) -> None:
    partition, consent, contacts, offset, attempt, sequence = numbers
    previous = data.draw(st.just(b"") | st.binary(min_size=32, max_size=32))
    shadow = data.draw(shadows)
    broadcast = data.draw(st.dictionaries(texts, longs, max_size=3))
    assessment = assess(request, state, NAMES, CAMPAIGNS, NOON)
    verdict = POLICY.decide(assessment)
    verdicts = data.draw(st.sampled_from((VERDICTS, WATCHING)))
    pieces = verdicts.of(assessment.facts, verdict)
    if verdicts is VERDICTS:
        assert not pieces.observed
    elif pieces.reasons and POLICY.objections(assessment.facts, NOON):
        objecting = {rule.id for rule in POLICY.objections(assessment.facts, NOON)}
        assert objecting <= set(pieces.observed)
    content = content_bytes(request)
    stamped = stamp(partition, consent, contacts, broadcast, NOON)

    reasons = () if isinstance(verdict, Allow) else tuple(r.value for r in verdict.reasons)
    expected = SmsDecision(
        decision_id="d",
        request_id=request.request_id,
        subject_id=A_SUBJECT_ID,
        purpose=request.purpose,
        campaign_id=request.campaign_id,
        sender_id=request.sender_id,
        template_id=request.template_id,
        verdict={"Allow": Outcome.ALLOWED, "Drop": Outcome.DROPPED}.get(
            type(verdict).__name__, Outcome.QUARANTINED
        ),
        basis=verdict.basis if isinstance(verdict, Allow) else None,
        consent_event_id=assessment.consent_event_id,
        reasons=reasons,
        hold_until=None,
        policy_version=POLICY.version,
        facts=assessment.facts.as_map(),
        request_partition=partition,
        request_offset=offset,
        attempt=attempt,
        sequence=sequence,
        consent_offset=consent,
        contacts_offset=contacts,
        broadcast_offsets=broadcast,
        decided_at=NOON,
        previous=previous,
        observed=pieces.observed,
        shadow=shadow,
    )
    spliced = decision_body(
        b"d",
        request.request_id,
        A_SUBJECT_ID,
        content,
        pieces,
        assessment.consent_event_id,
        stamped,
        offset,
        attempt,
        sequence,
        previous,
        NO_SHADOW if shadow is None else shadow_bytes(shadow),
    )
    assert spliced == CODECS.decisions.encode_body(expected)
    assert pieces.outcome is expected.verdict

    sealed = data.draw(st.binary(max_size=200))
    held = QuarantinedSms(
        hold_id="h",
        decision_id="d",
        request_id=request.request_id,
        subject_id=A_SUBJECT_ID,
        purpose=request.purpose,
        campaign_id=request.campaign_id,
        reasons=reasons,
        hold_until=None,
        sealed=sealed,
        key_id="k",
        quarantined_at=NOON,
        valid_until=request.valid_until,
        attempt=attempt,
    )
    spliced_hold = hold_body(
        b"h",
        b"d",
        request.request_id,
        A_SUBJECT_ID,
        content,
        pieces,
        sealed,
        "k",
        NOON,
        request.valid_until,
        attempt,
    )
    assert spliced_hold == CODECS.quarantined.encode_body(held)


def test_pieces_are_kept_for_the_same_facts_and_made_anew_for_another_verdict() -> None:
    verdicts = Verdicts(POLICY, NOON)
    assessment = assess(an_sms_requested(), None, NAMES, CAMPAIGNS, NOON)
    verdict = POLICY.decide(assessment)
    pieces = verdicts.of(assessment.facts, verdict)
    assert verdicts.of(assessment.facts, verdict) is pieces
    other = replace(verdict)
    assert verdicts.of(assessment.facts, other).verdict is other


@pytest.mark.parametrize("law", Jurisdiction)
def test_the_verdict_looked_up_with_its_bytes_has_the_time_of_each_person(
    law: Jurisdiction,
) -> None:
    """The same facts over and over: quiet until one time or another, too often, or neither."""
    policy = load_policy(DEFAULT_POLICY)
    verdicts = Verdicts(policy, NOON)
    state = a_subject_state(grants=(a_grant(),))
    read = assess(an_sms_requested(purpose="marketing"), state, NAMES, CAMPAIGNS, NOON)
    seen = set()
    for quiet, frequency, opens_at, slot_at in (
        (QuietHours.OPEN, Frequency.WITHIN, None, None),
        (QuietHours.QUIET, Frequency.WITHIN, NOON + 1, None),
        (QuietHours.QUIET, Frequency.WITHIN, NOON + 2, None),
        (QuietHours.OPEN, Frequency.EXCEEDED, None, NOON + 3),
        (QuietHours.OPEN, Frequency.EXCEEDED, None, NOON + 4),
        (QuietHours.QUIET, Frequency.EXCEEDED, NOON + 5, NOON + 4),
        (QuietHours.QUIET, Frequency.WITHIN, None, None),
    ) * 2:
        facts = read.facts._replace(quiet_hours=quiet, frequency=frequency, jurisdiction=law)
        assessment = read._replace(facts=facts, opens_at=opens_at, slot_at=slot_at)
        pieces = verdicts.on(assessment)
        assert pieces.verdict == policy.decide(assessment)
        assert pieces.hold_until == getattr(pieces.verdict, "hold_until", None)
        seen.add(pieces.hold_until)
    assert {NOON + 3, NOON + 4} <= seen


def test_no_verdict_outlives_the_day_on_which_a_rule_ends() -> None:
    """Enforced or observed: each of the rules is in force until noon's day is over."""
    tomorrow = datetime.fromtimestamp(NOON / 1000, UTC).date() + timedelta(days=1)
    for observe in (False, True):
        rules = tuple(replace(rule, until_day=tomorrow, observe=observe) for rule in POLICY.rules)
        ending = Policy(
            name="ending",
            edition="1",
            version=POLICY.version,
            files={},
            purposes=POLICY.purposes,
            rules=rules,
            registers=POLICY.registers,
            language=POLICY.language,
        )
        verdicts = Verdicts(ending, NOON)
        assert verdicts.hold_good(ending, first_ms(tomorrow) - 1)
        assert not verdicts.hold_good(ending, first_ms(tomorrow))
        assert not verdicts.hold_good(POLICY, NOON)
