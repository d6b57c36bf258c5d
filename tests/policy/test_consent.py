"""What a person's yes and no come to for one message."""

from __future__ import annotations

import pytest

from streams.policy.consent import ConsentView, consent_for
from streams.policy.vocabulary import Basis, Consent
from streams.records import events
from streams.records.events import Source
from streams.records.subject import Grant, SubjectState, Withdrawal
from tests.policy.messages import NOW, grant, subject, withdrawal


def view(
    *said: Grant | Withdrawal, campaign_id: str | None = None, **changes: object
) -> ConsentView:
    """How a marketing message from ``shop`` sees a person who said this."""
    state = subject(
        grants=tuple(one for one in said if isinstance(one, Grant)),
        withdrawals=tuple(one for one in said if isinstance(one, Withdrawal)),
        **changes,
    )
    return consent_for(state, "marketing", "shop", campaign_id, NOW)


@pytest.mark.parametrize("state", [None, subject()])
def test_nothing_said_is_no_consent(state: SubjectState | None) -> None:
    seen = consent_for(state, "marketing", "shop", None, NOW)
    assert seen == ConsentView(
        Consent.NONE, Basis.NONE, False, False, None, False, False, False, False, None
    )


def test_a_grant_is_in_force_with_its_basis_and_event() -> None:
    seen = view(grant(conditional=True))
    assert (seen.status, seen.basis, seen.conditional, seen.own, seen.event_id) == (
        Consent.GRANTED,
        Basis.EXPRESS,
        True,
        True,
        "granted",
    )


@pytest.mark.parametrize(
    "other",
    [
        grant("invite"),
        grant("Marketing"),
        grant(sender_id="bank"),
        grant(campaign_id="spring"),
    ],
)
def test_a_grant_for_something_else_is_none(other: Grant) -> None:
    assert view(other).status is Consent.NONE


def test_a_grant_for_this_sender_and_campaign_counts() -> None:
    scoped = grant(sender_id="shop", campaign_id="spring")
    assert view(scoped, campaign_id="spring").status is Consent.GRANTED


@pytest.mark.parametrize(
    ("scope", "suppressed", "withdrawn"),
    [
        ({"purpose": None}, True, False),
        ({"purpose": None, "sender_id": "shop"}, True, False),
        ({"purpose": "marketing"}, False, True),
        ({"purpose": "marketing", "campaign_id": "spring"}, False, True),
    ],
)
def test_a_later_withdrawal_that_covers_the_message_ends_the_grant(
    scope: dict[str, str | None], suppressed: bool, withdrawn: bool
) -> None:
    seen = view(grant(), withdrawal(**scope), campaign_id="spring")
    assert (seen.status, seen.event_id) == (Consent.WITHDRAWN, "withdrawn")
    assert (seen.suppressed, seen.withdrawn) == (suppressed, withdrawn)


@pytest.mark.parametrize(
    "elsewhere",
    [
        withdrawal("invite"),
        withdrawal(None, sender_id="bank"),
        withdrawal(campaign_id="autumn"),
    ],
)
def test_a_withdrawal_of_something_else_ends_nothing(elsewhere: Withdrawal) -> None:
    seen = view(grant(), elsewhere, campaign_id="spring")
    assert seen.status is Consent.GRANTED
    assert (seen.suppressed, seen.withdrawn) == (False, False)


def test_a_withdrawal_without_any_grant_is_withdrawn() -> None:
    assert view(withdrawal(None)).status is Consent.WITHDRAWN


def test_a_fresh_own_grant_undoes_a_withdrawal_of_everything_for_its_purpose() -> None:
    again = grant(offset=30, counts_from=NOW - 1)
    seen = view(withdrawal(None), again)
    assert (seen.status, seen.suppressed) == (Consent.GRANTED, False)


@pytest.mark.parametrize(
    "late",
    [
        grant(offset=30, counts_from=NOW - 5_000),  # the same millisecond: the withdrawal wins
        grant(offset=30, counts_from=NOW - 6_000),  # appended later, but dated before
        grant(offset=19, counts_from=NOW - 1),  # a lower offset, whatever the clock says
    ],
)
def test_a_late_or_skewed_grant_never_undoes_a_stop(late: Grant) -> None:
    assert view(withdrawal(), late).status is Consent.WITHDRAWN


@pytest.mark.parametrize("source", list(Source))
def test_only_the_recipient_undoes_a_stop(source: Source) -> None:
    seen = view(withdrawal(), grant(offset=30, counts_from=NOW - 1, source=source))
    own = source in (Source.SELF_SERVICE, Source.INBOUND_SMS, Source.DOUBLE_OPT_IN)
    assert (seen.status is Consent.GRANTED) is own


def test_every_covering_withdrawal_must_be_undone() -> None:
    seen = view(
        withdrawal(None, offset=1, at=NOW - 9_000),
        grant(offset=10, counts_from=NOW - 8_000),
        withdrawal(offset=20),
    )
    assert (seen.status, seen.suppressed, seen.withdrawn) == (Consent.WITHDRAWN, True, True)


def test_a_grant_ends_the_moment_it_expires() -> None:
    assert view(grant(expires_at=NOW + 1)).status is Consent.GRANTED
    seen = view(grant(expires_at=NOW))
    assert (seen.status, seen.event_id) == (Consent.EXPIRED, "granted")


def test_an_older_grant_that_ran_out_does_not_hide_a_withdrawal() -> None:
    assert view(grant(expires_at=NOW), withdrawal()).status is Consent.WITHDRAWN


def test_after_a_limited_yes_the_withdrawal_before_it_stands_again() -> None:
    limited = grant(offset=30, counts_from=NOW - 100, expires_at=NOW)
    seen = view(withdrawal(None), limited)
    assert (seen.status, seen.suppressed) == (Consent.EXPIRED, True)


def test_consent_of_the_former_holder_is_reassigned() -> None:
    seen = view(grant(counts_from=NOW - 10), reassigned_at=NOW - 9)
    assert (seen.status, seen.reassigned) == (Consent.NONE, True)


def test_consent_from_the_day_of_reassignment_on_counts() -> None:
    seen = view(grant(counts_from=NOW - 9), reassigned_at=NOW - 9)
    assert (seen.status, seen.reassigned) == (Consent.GRANTED, False)


def test_a_reassignment_does_not_hide_a_stop() -> None:
    seen = view(grant(), withdrawal(None), reassigned_at=NOW - 1)
    assert (seen.status, seen.suppressed, seen.reassigned) == (Consent.WITHDRAWN, True, False)


def test_nothing_older_than_an_erasure_counts() -> None:
    seen = view(grant(counts_from=NOW - 10), erased_at=NOW - 10)
    assert (seen.status, seen.erased) == (Consent.NONE, True)


@pytest.mark.parametrize("source", list(Source))
def test_after_an_erasure_only_self_service_and_double_opt_in_open_again(source: Source) -> None:
    seen = view(grant(counts_from=NOW - 9, source=source), erased_at=NOW - 10)
    opens = source in (Source.SELF_SERVICE, Source.DOUBLE_OPT_IN)
    assert (seen.status is Consent.GRANTED, seen.erased) == (opens, not opens)


def test_a_fresh_grant_of_another_purpose_ends_the_erasure_too() -> None:
    seen = view(grant("otp", counts_from=NOW - 9), erased_at=NOW - 10)
    assert (seen.status, seen.erased) == (Consent.NONE, False)


def test_a_fresh_grant_that_was_withdrawn_again_leaves_the_erasure_standing() -> None:
    seen = view(
        grant("otp", counts_from=NOW - 9),
        withdrawal("otp", at=NOW - 8),
        erased_at=NOW - 10,
    )
    assert seen.erased


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (grant(), grant(conditional=True)),
        (grant(), grant(basis=events.Basis.IMPLIED)),
        (grant(basis=events.Basis.IMPLIED), grant(conditional=True)),
        (grant(), grant(source=Source.BULK_IMPORT)),
        (grant(), grant(expires_at=NOW)),
    ],
)
def test_of_several_grants_the_best_is_taken(better: Grant, worse: Grant) -> None:
    other = subject(
        grants=(
            grant(
                event_id="worse",
                offset=99,
                basis=worse.basis,
                conditional=worse.conditional,
                source=worse.source,
                expires_at=worse.expires_at,
            ),
            better,
        )
    )
    assert consent_for(other, "marketing", "shop", None, NOW).event_id == "granted"
