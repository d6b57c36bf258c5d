"""Consents that end by themselves."""

from __future__ import annotations

from streams.policy.consent import ConsentView, consent_for
from streams.policy.lapse import sooner
from streams.policy.policy import load_policy
from streams.policy.vocabulary import Consent, Jurisdiction
from streams.records.events import Basis
from streams.records.subject import Grant
from tests.policy.messages import NOW, PLAIN, grant, subject

DAY = 86_400_000
TWO_YEARS = {Basis.IMPLIED: 730 * DAY}


def view(*grants: Grant) -> ConsentView:
    return consent_for(subject(grants=grants), "marketing", "shop", None, NOW, lapse=TWO_YEARS)


def test_an_implied_consent_ends_by_itself() -> None:
    at = NOW - 730 * DAY

    assert view(grant(basis=Basis.IMPLIED, counts_from=at + 1)).status is Consent.GRANTED
    assert view(grant(basis=Basis.IMPLIED, counts_from=at)).status is Consent.EXPIRED
    later = grant(basis=Basis.IMPLIED, counts_from=at, expires_at=NOW + DAY)
    assert view(later).status is Consent.EXPIRED
    sooner_ended = grant(basis=Basis.IMPLIED, counts_from=at + DAY, expires_at=NOW)
    assert view(sooner_ended).status is Consent.EXPIRED


def test_an_express_consent_does_not() -> None:
    assert view(grant(counts_from=NOW - 9_000 * DAY)).status is Consent.GRANTED


def test_what_lapses_leaves_an_erasure_and_a_former_holder_standing() -> None:
    old = grant(basis=Basis.IMPLIED, counts_from=NOW - 731 * DAY)
    erased = subject(grants=(old,), erased_at=NOW - 732 * DAY)
    former = subject(grants=(old,), reassigned_at=NOW - DAY)

    assert consent_for(erased, "marketing", "shop", None, NOW, lapse=TWO_YEARS).erased
    assert not consent_for(erased, "marketing", "shop", None, NOW).erased
    assert consent_for(former, "marketing", "shop", None, NOW, lapse=TWO_YEARS).reassigned


def test_each_pack_lapses_under_its_own_law() -> None:
    assert load_policy(PLAIN.parent / "default").lapses == {Jurisdiction.CA: TWO_YEARS}
    alone = load_policy(PLAIN.parent / "ca").lapses
    assert alone == dict.fromkeys(Jurisdiction, TWO_YEARS)


def test_the_sooner_of_two_counts() -> None:
    assert sooner({Basis.IMPLIED: 2, Basis.SOFT_OPT_IN: 5}, {Basis.IMPLIED: 1}) == {
        Basis.IMPLIED: 1,
        Basis.SOFT_OPT_IN: 5,
    }
