"""
How many messages a person may get: the caps that a policy declares, over sliding windows. Pure.

``policy.yaml`` lists them::

    caps:
      - {purposes: [marketing], most: 3, window: 1d}
      - {purposes: [marketing, invite], per: [campaign], most: 1, window: 7d}

A cap counts the allowed messages of its purposes to one person; with ``per`` those only that agree
with the message in sender, campaign, template or purpose. A message that lacks what ``per`` names
(a campaign, a template) is not counted and not capped.

What a message was is remembered as 16 bytes: the CRC-32 of its purpose, sender, campaign and
template. Two that differ in no more than four neighbouring bytes never have the same; others one
time in four milliards, and then one of them waits for a slot that it need not have waited for.
"""

from __future__ import annotations

from binascii import crc32
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

FIELDS: Final[Mapping[str, slice]] = MappingProxyType(
    {
        "purpose": slice(0, 4),
        "sender": slice(4, 8),
        "campaign": slice(8, 12),
        "template": slice(12, 16),
    }
)
"""What ``per`` may name, and where it stands in what is remembered of a message."""

KIND_BYTES: Final = 16

LONGEST_WINDOW_MS: Final = 31 * 24 * 3600 * 1000
"""No window may be longer: what was sent is kept in a topic for as long (``sms.sends``)."""

REPEATED_WITHIN_MS: Final = 24 * 3600 * 1000
"""A request id that comes again within this time is the same request, sent again by a retry."""

MOST: Final = 100
"""No cap may be higher: so many sends of each kind are remembered at least, whatever else was sent
(:mod:`streams.state.sends`)."""

UNCAPPED: Final = 1 << 60
"""More messages than anybody gets: no cap is about them."""

_ABSENT: Final = bytes(4)


class Send(NamedTuple):
    """
    One message to a person. ``kind`` as :func:`kind_of` gives it.

    ``waits``: it is not sent but held, and ``at`` is the slot that it was given.
    """

    at: int
    kind: bytes
    waits: bool


@dataclass(frozen=True, slots=True)
class Cap:
    """At most ``most`` messages of these purposes within ``window_ms``, for each of ``per``."""

    purposes: frozenset[str]
    per: tuple[str, ...]
    most: int
    window_ms: int

    def counted(self) -> frozenset[bytes]:
        """What the purposes are remembered as."""
        return frozenset(_digest(purpose) for purpose in self.purposes)


class Caps:
    """All caps of one policy."""

    def __init__(self, caps: Iterable[Cap] = ()) -> None:
        self.declared = tuple(caps)
        self._caps = [
            (cap.counted(), tuple(FIELDS[name] for name in cap.per), cap.most, cap.window_ms)
            for cap in self.declared
        ]
        self.horizon_ms = max([REPEATED_WITHIN_MS, *(cap[3] for cap in self._caps)])
        """How far back anything matters that was sent."""
        self._fewest: dict[bytes, int] = {}

    def fewest(self, kind: bytes) -> int:
        """With fewer messages than this, of any kind, no cap stands against one of ``kind``."""
        known = self._fewest.get(kind)
        if known is None:
            if len(self._fewest) >= 20_000:
                self._fewest.clear()
            covering = [cap[2] for cap in self._caps if _covers(kind, cap[0], cap[1])]
            known = self._fewest[kind] = min(covering, default=UNCAPPED)
        return known

    def slot_at(self, kind: bytes, sends: Iterable[Send], now_ms: int) -> int | None:
        """
        Give the time from which a message of ``kind`` may be sent; None: now.

        Only what was sent counts against it now. Where it has to wait it is given the first slot
        that no message before it waits for: messages that are held get successive ones.
        """
        sends = list(sends)
        slots = []
        for purposes, per, most, window_ms in self._caps:
            if not _covers(kind, purposes, per):
                continue
            alike = [
                send
                for send in sends
                if send.at > (now_ms if send.waits else now_ms - window_ms)
                and send.kind[:4] in purposes
                and all(send.kind[part] == kind[part] for part in per)
            ]
            if sum(not send.waits for send in alike) >= most:
                times = sorted(send.at for send in alike)
                slots.append(times[len(times) - most] + window_ms)
        return max(slots, default=None)


def kind_of(
    purpose: str, sender_id: str, campaign_id: str | None, template_id: str | None
) -> bytes:
    """Give what is remembered of what a message was: 16 bytes."""
    return b"".join(map(_digest, (purpose, sender_id, campaign_id, template_id)))


def _digest(text: str | None) -> bytes:
    if text is None:
        return _ABSENT
    # No text's digest is that of an absent one.
    return (crc32(text.encode()) or 1).to_bytes(4, "big")


def _covers(kind: bytes, purposes: frozenset[bytes], per: tuple[slice, ...]) -> bool:
    return kind[:4] in purposes and all(kind[part] != _ABSENT for part in per)
