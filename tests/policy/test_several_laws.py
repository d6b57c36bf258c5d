"""Where several laws may count, nothing passes that one of them would not let pass."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.policy.facts import assess
from streams.policy.policy import Policy, load_policy
from streams.policy.verdicts import Allow
from streams.records.events import Basis, Origin
from streams.records.subject import SubjectState
from tests.policy.messages import (
    LOGIN,
    NOW,
    ORDER,
    CampaignTable,
    NameTable,
    confirmed_by_user,
    grant,
    member,
    request,
    subject,
    withdrawal,
)

POLICIES = Path(__file__).parents[2] / "policies"
NUMBERS = {
    "New York": "+12125550101",
    "Texas": "+12145550101",
    "toll-free": "+18005550101",
    "Ontario": "+14165550101",
    "Germany": "+4915112345678",
    "United Kingdom": "+447911123456",
    "China": "+8613800000001",
}
PLACES = st.sampled_from(("DE", "CA-ON", "US-NY", "US-TX", "CN", "GB"))
A_DAY_MS = 86_400_000
# Both ways to say it, so that no law's own words decide.
STOPS = "Reply STOP to end. 拒收请回复R"

states = st.builds(
    lambda known, basis, number_is, ended: known(
        grants=(grant(basis=basis, counts_from=NOW - 30 * A_DAY_MS),) if basis else (),
        withdrawals=(withdrawal("transactional", at=NOW - 40 * A_DAY_MS),) if ended else (),
        **({"origin": number_is} if number_is else {}),
    ),
    st.sampled_from((subject, member)),
    st.sampled_from((None, *Basis)),
    st.sampled_from((None, *Origin)),
    st.booleans(),
)


@cache
def default() -> Policy:
    return load_policy(POLICIES / "default")


def passes(message: dict[str, object], state: SubjectState, now_ms: int) -> bool:
    policy = default()
    assessment = assess(
        request(**message), state, NameTable(), CampaignTable(), now_ms, policy.registers
    )
    return isinstance(policy.decide(assessment), Allow)


@settings(max_examples=500)
@given(
    number=st.sampled_from(sorted(NUMBERS)),
    purpose=st.sampled_from(("marketing", "invite", "transactional", "otp")),
    state=states,
    confirmed=st.booleans(),
    record=st.one_of(st.none(), PLACES),
    further=PLACES,
    in_record=st.booleans(),
    hour=st.integers(0, 23),
)
def test_a_further_place_never_lets_more_pass(
    number: str,
    purpose: str,
    state: SubjectState,
    confirmed: bool,
    record: str | None,
    further: str,
    in_record: bool,
    hour: int,
) -> None:
    recipient, body = NUMBERS[number], f"Hello. {STOPS}"
    message: dict[str, object] = {
        "recipient": recipient,
        "purpose": purpose,
        "body": body,
        "occasion": {"otp": LOGIN, "transactional": ORDER}.get(purpose),
    }
    if confirmed:
        message["initiator"] = confirmed_by_user(recipient, body)
    now_ms = NOW + hour * 3_600_000
    before = _in(state, None if in_record else record)
    after = _in(state, further if in_record else record)
    said = {} if in_record else {"region": further}
    if passes(message | said, after, now_ms):
        assert passes(message, before, now_ms)


def _in(state: SubjectState, region: str | None) -> SubjectState:
    return replace(state, region=region)


def test_what_is_tried_there_does_pass_under_one_law() -> None:
    """Else the property would say nothing."""
    soft = member(grants=(grant(basis=Basis.SOFT_OPT_IN),), origin=Origin.CUSTOMER)
    implied = member(grants=(grant(basis=Basis.IMPLIED),))
    at_noon = NOW - NOW % A_DAY_MS + 16 * 3_600_000
    for number, state in (("Germany", soft), ("Ontario", implied)):
        message = {"recipient": NUMBERS[number], "body": f"Hello. {STOPS}"}
        assert passes(message, state, at_noon)
        assert not passes(message | {"region": "US-NY"}, state, at_noon)
