"""What the benchmarks send: a consent of everyone, and requests of two campaigns, one paused."""

from __future__ import annotations

import random
from collections.abc import Iterator

from streams.records.events import Basis, Campaign, CampaignState, ConsentEvent, ConsentKind, Source
from streams.records.requests import SmsRequested

PAUSED, ACTIVE = "winter-sale", "spring-sale"
NAMES = tuple(f"{a}{b}" for a in ("An", "Ben", "Cla", "Do", "El") for b in ("na", "ny", "ra", "mi"))

REGION = "DE"
"""
Where all recipients are: under the default policy a law without quiet hours, so that what passes
does not depend on the hour of the run. Numbers in +999 say nothing of a place.
"""


def number(index: int) -> str:
    """Subject ``index`` as E.164, in a country code that is not assigned (+999)."""
    return f"+999{index:09d}"


def consents(subjects: int, now_ms: int) -> Iterator[ConsentEvent]:
    """Give one express consent to marketing for each subject."""
    for index in range(subjects):
        yield ConsentEvent(
            event_id=f"e{index}",
            subject=number(index),
            kind=ConsentKind.GRANTED,
            occurred_at=now_ms - 86_400_000,
            source=Source.SELF_SERVICE,
            purpose="marketing",
            basis=Basis.EXPRESS,
        )


def pause(now_ms: int) -> Campaign:
    """Pause the campaign of every third request."""
    return Campaign(PAUSED, CampaignState.PAUSED, "p1", None, "bench", None, now_ms)


def requests(count: int, subjects: int, now_ms: int, *, seed: int = 1) -> Iterator[SmsRequested]:
    """Draw recipients evenly; every second body is personalised, every third request is held."""
    choose = random.Random(seed)
    for index in range(count):
        recipient = number(choose.randrange(subjects))
        personal = f"Hi {choose.choice(NAMES)} {index}, " if index % 2 else ""
        yield SmsRequested(
            request_id=f"r{seed}-{index}",
            recipient=recipient,
            requested_at=now_ms,
            valid_until=None,
            purpose="marketing",
            campaign_id=ACTIVE if index % 3 else PAUSED,
            sender_id="SHOP",
            template_id=None,
            template_params={},
            body=f"{personal}20% off everything until Sunday. Reply STOP to end.",
            region=REGION,
        )
