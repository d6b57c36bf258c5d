"""The catalogue of reasons against the design's table, copied here by hand."""

from __future__ import annotations

import pytest

from streams.policy.reasons import (
    Reason,
    ReasonKind,
    severest_first,
)
from streams.records.decisions import Outcome

BLOCKS = [
    "NO_CONSENT",
    "CONSENT_WITHDRAWN",
    "CONSENT_EXPIRED",
    "CONSENT_PENDING",
    "CONSENT_NOT_FREE",
    "SUPPRESSED",
    "ERASED",
    "NUMBER_REASSIGNED",
    "NO_BASIS",
    "THIRD_PARTY_NUMBER",
    "UPLOAD_MANDATORY",
    "UPLOAD_UNDISCLOSED",
    "PLATFORM_INITIATED",
    "NAMES_THIRD_PARTY",
    "REGISTRATION_LINK",
    "CLAIM_UNSUPPORTED",
    "EXPIRED",
    "DUPLICATE_REQUEST",
]
WAITING = [
    "QUIET_HOURS",
    "FREQUENCY",
    "CAMPAIGN_PAUSED",
    "NUMBER_UNCHECKED",
    "PURPOSE_UNKNOWN",
]
FOR_REVIEW = [
    "ZONE_UNKNOWN",
    "TEMPLATE_UNKNOWN",
    "TEMPLATE_MISMATCH",
    "PURPOSE_MISMATCH",
    "OCCASION_MISSING",
    "SENDER_UNKNOWN",
    "SENDER_DISGUISED",
    "OPT_OUT_TEXT_MISSING",
    "LINK_UNKNOWN",
    "EVIDENCE_CONTRADICTORY",
]
FAULTS = [
    "STATE_UNDECODABLE",
    "POLICY_ERROR",
]

ROWS = (
    [(code, Outcome.DROPPED, False, ReasonKind.BLOCK) for code in BLOCKS]
    + [(code, Outcome.QUARANTINED, False, ReasonKind.HOLD) for code in WAITING]
    + [(code, Outcome.QUARANTINED, True, ReasonKind.HOLD) for code in FOR_REVIEW]
    + [(code, Outcome.QUARANTINED, False, ReasonKind.FAULT) for code in FAULTS]
)


@pytest.mark.parametrize(("code", "outcome", "releasable", "kind"), ROWS)
def test_each_row_of_the_design_stands_in_the_catalogue(
    code: str, outcome: Outcome, releasable: bool, kind: ReasonKind
) -> None:
    reason = Reason(code)
    assert (reason.name, reason.outcome, reason.releasable, reason.kind) == (
        code,
        outcome,
        releasable,
        kind,
    )


def test_the_catalogue_has_no_row_of_its_own() -> None:
    assert {reason.value for reason in Reason} == {row[0] for row in ROWS}


def test_severity_is_total_with_what_cannot_be_judged_first_and_holds_last() -> None:
    in_order = sorted(Reason, key=lambda reason: reason.severity)

    assert len({reason.severity for reason in Reason}) == len(Reason)
    assert set(in_order[:3]) == {
        Reason.STATE_UNDECODABLE,
        Reason.POLICY_ERROR,
        Reason.PURPOSE_UNKNOWN,
    }
    outcomes = [reason.outcome for reason in in_order[3:]]
    assert outcomes == sorted(outcomes, key=lambda outcome: outcome is Outcome.QUARANTINED)


def test_reasons_are_put_severest_first() -> None:
    mixed = {Reason.OCCASION_MISSING, Reason.NO_CONSENT, Reason.SUPPRESSED}
    assert severest_first(mixed) == (
        Reason.SUPPRESSED,
        Reason.NO_CONSENT,
        Reason.OCCASION_MISSING,
    )
