"""What the policy tests put together: requests, states, and what the broadcast tables would say."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from streams.policy.policy import Policy, load_policy, load_policy_files
from streams.records.events import Basis, Origin, Source
from streams.records.requests import (
    Initiator,
    InitiatorEvidence,
    Occasion,
    SmsRequested,
    TextAuthor,
)
from streams.records.subject import Grant, Membership, SubjectState, UploadTrace, Withdrawal

RECIPIENT = "+8613800000001"
USER = "+8613900000002"
FRIEND = "+8613700000003"
NOW = 1_800_000_000_000
PLAIN = Path(__file__).parents[2] / "policies" / "plain"

ORDER = Occasion("order", "4711")
LOGIN = Occasion("login", "session-1")


class NameTable:
    """Stands for ``names.consents``: these numbers let themselves be named."""

    def __init__(self, *numbers: str) -> None:
        self._numbers = numbers

    def allows(self, number: str, purpose: str, now_ms: int) -> bool:
        return number in self._numbers


class CampaignTable:
    """Stands for ``campaigns``: these are paused."""

    def __init__(self, *paused: str) -> None:
        self._paused = paused

    def paused(self, campaign_id: str) -> bool:
        return campaign_id in self._paused

    def user_paused(self, number: str) -> bool:
        return number in self._paused


def plain_policy() -> Policy:
    return load_policy(PLAIN)


def request(**changes: object) -> SmsRequested:
    plain = SmsRequested(
        request_id="request-1",
        recipient=RECIPIENT,
        requested_at=NOW,
        valid_until=None,
        purpose="marketing",
        campaign_id=None,
        sender_id="shop",
        template_id=None,
        template_params={},
        body="Come and see.",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def confirmed_by_user(recipient: str = RECIPIENT, body: str = "Come and see.") -> Initiator:
    """A user who was told, picked, saw, wrote and confirmed this text to this recipient."""
    evidence = InitiatorEvidence(
        recipient_hand_picked=True,
        effect_disclosed=True,
        text_shown=True,
        confirmed_at=NOW - 1000,
        confirmed_sha256=sha256(f"{recipient}\n{body}".encode()).hexdigest(),
        text_author=TextAuthor.USER,
    )
    return Initiator(USER, "tap_invite", evidence)


def subject(**changes: object) -> SubjectState:
    return replace(SubjectState(b"s" * 16), **changes)  # type: ignore[arg-type]


def grant(purpose: str = "marketing", **changes: object) -> Grant:
    plain = Grant(
        purpose=purpose,
        basis=Basis.EXPRESS,
        conditional=False,
        sender_id=None,
        campaign_id=None,
        counts_from=NOW - 10_000,
        offset=10,
        expires_at=None,
        source=Source.SELF_SERVICE,
        event_id="granted",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def withdrawal(purpose: str | None = "marketing", **changes: object) -> Withdrawal:
    plain = Withdrawal(
        purpose=purpose,
        sender_id=None,
        campaign_id=None,
        at=NOW - 5_000,
        offset=20,
        source=Source.INBOUND_SMS,
        event_id="withdrawn",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def trace(**changes: object) -> UploadTrace:
    plain = UploadTrace(
        upload_id="upload-1",
        uploader_id=b"u" * 16,
        mandatory=False,
        undisclosed=False,
        uploaded_at=NOW - 100_000,
        expires_at=NOW + 100_000,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def member(**changes: object) -> SubjectState:
    """A registered person who entered the number."""
    registered = subject(
        membership=Membership(since=NOW - 50_000, offset=1, event_id="registered"),
        origin=Origin.SELF_ENTERED,
        origin_at=NOW - 50_000,
    )
    return replace(registered, **changes)  # type: ignore[arg-type]


def small(*rules: str, purposes: str = "  marketing: Advertising.") -> Policy:
    """A policy of these rules, each written as ``condition => then reason-or-basis [days]``."""
    written = ["rules:"]
    for number, line in enumerate(rules):
        when, _, follows = line.partition(" => ")
        then, what, *days = follows.split()
        written += [
            f"  - id: rule-{number}",
            f"    text: Rule {number}.",
            f"    when: {when}",
            f"    then: {then}",
            f"    {'basis' if then == 'allow' else 'reason'}: {what}",
            "    cites: Case",
            *(f"    {day.replace('=', ': ')}" for day in days),
        ]
    manifest = f"name: small\nedition: '1'\npurposes:\n{purposes}\nrules: [rules.yaml]\n"
    files = {"policy.yaml": manifest, "rules.yaml": "\n".join(written)}
    return load_policy_files(files, "small")
