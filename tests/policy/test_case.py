"""The case, decided from a file by the policy that ships."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.policy.facts import assess
from streams.policy.policy import Policy
from streams.policy.reasons import Reason
from streams.policy.verdicts import Allow, Drop, Quarantine, Verdict
from streams.records.requests import (
    Claim,
    ClaimEvidence,
    Initiator,
    InitiatorEvidence,
    NamedPerson,
    Occasion,
    SmsRequested,
    TextAuthor,
)
from streams.records.subject import SubjectState
from tests.policy.messages import (
    RECIPIENT,
    CampaignTable,
    NameTable,
    confirmed_by_user,
    default_policy,
    grant,
    request,
    subject,
    trace,
)

CASES: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "case.yaml").read_text("utf-8"))
_DAY = CASES.pop("decided_at")
DECIDED_AT = int(datetime(_DAY.year, _DAY.month, _DAY.day, tzinfo=UTC).timestamp()) * 1000


@pytest.fixture(scope="module")
def policy() -> Policy:
    return default_policy()


@pytest.mark.parametrize("name", CASES)
def test_the_policy_that_ships_decides_as_the_court_did(name: str, policy: Policy) -> None:
    case = CASES[name]
    message, state = _request(case["request"]), _state(case)

    assessment = assess(message, state, NameTable(), CampaignTable(), DECIDED_AT)
    verdict = policy.decide(assessment)

    assert verdict == _expected(case)


def test_each_reason_of_the_case_can_be_explained(policy: Policy) -> None:
    case = CASES["the case"]
    facts = assess(
        _request(case["request"]), _state(case), NameTable(), CampaignTable(), DECIDED_AT
    ).facts

    objecting = policy.objections(facts, DECIDED_AT)

    assert [rule.reason.value for rule in objecting if rule.reason] == case["reasons"]
    assert all(rule.text and any("Case:" in source for source in rule.cites) for rule in objecting)


def _expected(case: dict[str, Any]) -> Verdict:
    reasons = tuple(Reason(code) for code in case.get("reasons", ()))
    match case["verdict"]:
        case "allow":
            return Allow(case["basis"])
        case "drop":
            return Drop(reasons)
        case _:
            return Quarantine(reasons)


def _request(fields: dict[str, Any]) -> SmsRequested:
    initiator = fields.get("initiator", {})
    evidence = initiator.get("evidence")
    recorded = (
        InitiatorEvidence(text_author=TextAuthor(evidence["text_author"]))
        if isinstance(evidence, dict)
        else None
    )
    return request(
        requested_at=DECIDED_AT,
        purpose=fields["purpose"],
        sender_id=fields["sender_id"],
        body=fields["body"],
        occasion=Occasion(**fields["occasion"]) if "occasion" in fields else None,
        initiator=confirmed_by_user(RECIPIENT, fields["body"])
        if evidence == "confirmed"
        else Initiator(initiator.get("user"), initiator.get("trigger"), recorded),
        named_persons=tuple(NamedPerson(**person) for person in fields.get("named_persons", ())),
        claims=tuple(
            Claim(claim["kind"], ClaimEvidence(claim["evidence"]))
            for claim in fields.get("claims", ())
        ),
    )


def _state(case: dict[str, Any]) -> SubjectState | None:
    known = case.keys() & {"uploads", "grants"}
    if not known:
        return None
    return subject(
        uploads=tuple(
            trace(uploaded_at=DECIDED_AT - 1, expires_at=DECIDED_AT + 1, **taints)
            for taints in case.get("uploads", ())
        ),
        grants=tuple(
            grant(purpose, counts_from=DECIDED_AT - 1) for purpose in case.get("grants", ())
        ),
    )
