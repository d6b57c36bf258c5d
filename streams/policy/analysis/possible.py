"""
Which facts can stand together: what follows from how they are read (``readings.py``).

Without this, an analysis would report gaps that no message can fall into, such as a consent that is
in force and rests on nothing. Each line leaves out only tuples that no message can have; that
``assess`` never gives one of those is held by a property test. To leave a line away is never wrong:
the analysis then only speaks of more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Among = Callable[..., bool]


@dataclass(frozen=True, slots=True)
class Dependency:
    """
    ``holds`` of the values' names of ``facts``, in that order, for every message there can be.

    ``because`` says what in the readings makes it so.
    """

    facts: tuple[str, ...]
    holds: Among
    because: str


_THIRD_PARTY = ("UPLOADED", "PURCHASED", "PUBLIC")


def _taint(
    purpose: str, consent: str, basis: str, member: str, number: str, upload: str, taint: str
) -> bool:
    if upload == "NOT_UPLOADED" and number not in _THIRD_PARTY:
        return taint == "NONE"
    if purpose == "otp" or (purpose == "transactional" and member == "YES"):
        return taint == "EXEMPT"
    if consent == "GRANTED" and basis == "EXPRESS":
        return taint in ("LIFTED", "STANDING")
    return taint == "STANDING"


DEPENDENCIES: tuple[Dependency, ...] = (
    Dependency(
        ("consent", "basis"),
        lambda consent, basis: (consent == "GRANTED") == (basis != "NONE"),
        "only a consent in force rests on something",
    ),
    Dependency(
        ("consent", "freedom"),
        lambda consent, freedom: (consent == "GRANTED") == (freedom != "NONE"),
        "only a consent in force is free or bundled",
    ),
    Dependency(
        ("consent", "withdrawal", "suppression"),
        lambda consent, withdrawal, suppression: (
            (withdrawal, suppression) == ("NONE", "NONE") or consent != "GRANTED"
        ),
        "a withdrawal that stands leaves no consent in force",
    ),
    Dependency(
        ("consent", "withdrawal", "suppression"),
        lambda consent, withdrawal, suppression: (
            (withdrawal, suppression) != ("NONE", "NONE") or consent != "WITHDRAWN"
        ),
        "a consent is withdrawn by a withdrawal that stands",
    ),
    Dependency(
        ("consent", "holder"),
        lambda consent, holder: (consent == "GRANTED") == (holder != "NONE"),
        "only who consents is asked for",
    ),
    Dependency(
        ("consent", "erasure"),
        lambda consent, erasure: consent != "GRANTED" or erasure == "NONE",
        "a consent in force was given after any erasure, and ends it",
    ),
    Dependency(
        ("consent", "reassignment"),
        lambda consent, reassignment: consent != "GRANTED" or reassignment == "NONE",
        "where the present holder consents, the former one's does not matter",
    ),
    Dependency(
        ("number", "upload"),
        lambda number, upload: number != "UPLOADED" or upload != "NOT_UPLOADED",
        "a number is UPLOADED by a trace that is live",
    ),
    Dependency(
        ("number", "upload"),
        lambda number, upload: number != "UNKNOWN" or upload == "NOT_UPLOADED",
        "a live trace says where the number is from",
    ),
    Dependency(
        ("purpose", "consent", "basis", "member", "number", "upload", "taint"),
        _taint,
        "taint follows from where the number is from, the purpose and the person's own consent",
    ),
    Dependency(
        ("purpose", "occasion", "answer"),
        lambda purpose, occasion, answer: (
            (answer != "NONE") == (purpose == "service_reply" and occasion == "INBOUND")
        ),
        "only a reply that names the recipient's message answers one",
    ),
    Dependency(
        ("purpose", "occasion", "asking"),
        lambda purpose, occasion, asking: (
            asking == "NONE" or (purpose == "confirmation" and occasion == "PRESENT")
        ),
        "only a question that names the consent asks for its confirmation",
    ),
    Dependency(
        ("purpose", "referral"),
        lambda purpose, referral: purpose != "invite" or referral != "NONE",
        "an invitation refers the recipient to us",
    ),
    Dependency(
        ("purpose", "marks", "referral"),
        lambda purpose, marks, referral: (
            referral == "NONE" or purpose == "invite" or marks == "INVITATION"
        ),
        "a referral is a mark of an invitation",
    ),
    Dependency(
        ("claims", "marks"),
        lambda claims, marks: claims == "NONE" or marks == "INVITATION",
        "a claim about people is a mark of an invitation",
    ),
    Dependency(
        ("links", "registration"),
        lambda links, registration: registration == "NONE" or links not in ("UNREAD", "NONE"),
        "a link to a registration page is a link",
    ),
    Dependency(
        ("referrer", "referral", "marks", "voice"),
        lambda referrer, referral, marks, voice: (
            referrer == "NONE" or (referral != "NONE" and marks == "INVITATION" and voice == "USER")
        ),
        "who has a referrer is referred, in that person's name",
    ),
)
