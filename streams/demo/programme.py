"""
The programme of the day: how often each scene is played.

The mix is made up so that every way a message can end is there and most messages pass, as in
ordinary traffic. It says nothing about any real platform.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streams.demo.acts import Act, Expected, allowed, dropped, held
from streams.demo.people import Standing
from streams.demo.scenes import Cast


@dataclass(frozen=True, slots=True)
class Scene:
    """One kind of request, and how many of ten thousand are of it."""

    out_of_10_000: int
    write: Callable[[Cast], list[Act]]


def _advertising(standing: Standing, expected: Expected) -> Callable[[Cast], list[Act]]:
    return lambda cast: cast.advertising(standing, expected)


def _news(
    standing: Standing, expected: Expected, *, order: bool = True
) -> Callable[[Cast], list[Act]]:
    return lambda cast: cast.news(standing, expected, order=order)


REPLIED = Scene(200, Cast.advertising_after_reply)
"""
Somebody replies STOP in the middle of the campaign. Played in the steady part only: how long a
worker takes for a reply is no part of the gate's rate, which the rush measures.
"""

DECLINED = Scene(100, Cast.advertising_after_decline)
"""Somebody withdraws in the preference centre just before the send."""

ORDINARY = Scene(0, _advertising(Standing.CONSENTING, allowed("eu/consent-to-marketing")))
"""Ordinary advertising: what is left of the day when the others have their share."""

SCENES: tuple[Scene, ...] = (
    DECLINED,
    Scene(300, _advertising(Standing.RETURNED, allowed("eu/consent-to-marketing"))),
    Scene(500, _advertising(Standing.STOPPED, dropped("SUPPRESSED"))),
    Scene(300, _advertising(Standing.DECLINED, dropped("CONSENT_WITHDRAWN"))),
    Scene(700, _advertising(Standing.STRANGER, dropped("NO_CONSENT"))),
    Scene(300, _advertising(Standing.LAPSED, dropped("CONSENT_EXPIRED"))),
    Scene(100, _advertising(Standing.BUNDLED, dropped("CONSENT_NOT_FREE"))),
    Scene(100, _advertising(Standing.IMPORTED, dropped("SUPPRESSED"))),
    Scene(50, _advertising(Standing.ERASED, dropped("ERASED", "NO_CONSENT"))),
    Scene(50, _advertising(Standing.REASSIGNED, dropped("NUMBER_REASSIGNED", "NO_CONSENT"))),
    Scene(100, _advertising(Standing.MISFILED, dropped("SUPPRESSED"))),
    Scene(50, _advertising(Standing.UNREADABLE, held("STATE_UNDECODABLE"))),
    Scene(50, _advertising(Standing.ASLEEP, held("QUIET_HOURS"))),
    Scene(50, _advertising(Standing.AWAKE, allowed("us/consent-to-marketing"))),
    Scene(200, Cast.advertising_in_paused_campaign),
    Scene(100, Cast.advertising_too_late),
    Scene(50, Cast.purpose_unheard_of),
    Scene(600, Cast.invitation),
    Scene(100, Cast.invitation_to_stranger),
    Scene(100, Cast.invitation_naming_willing),
    Scene(100, Cast.invitation_naming_unasked),
    Scene(100, Cast.invitation_changed_after),
    Scene(200, Cast.like_the_case),
    Scene(50, Cast.invitation_from_listed_number),
    Scene(50, Cast.case_called_a_password),
    Scene(1200, Cast.password),
    Scene(150, Cast.password_unasked),
    Scene(1300, _news(Standing.MEMBER, allowed("eu/dealings-with-member"))),
    Scene(100, _news(Standing.MEMBER, held("OCCASION_MISSING"), order=False)),
    Scene(100, _news(Standing.STRANGER, dropped("NO_BASIS"))),
    Scene(100, _news(Standing.UPLOADED, dropped("THIRD_PARTY_NUMBER"))),
    Scene(100, Cast.reply),
    Scene(20, Cast.noise),
    Scene(20, Cast.truncated),
    Scene(20, Cast.emptiness),
    Scene(20, Cast.another_kind_of_record),
    Scene(20, Cast.foreign_key),
    Scene(20, Cast.misplaced),
    Scene(20, Cast.no_number),
)
"""Every other scene but the replies and the case itself."""
