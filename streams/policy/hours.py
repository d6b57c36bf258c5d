"""
Quiet hours: at which times of day messages of a purpose may come, wherever the recipient may be.

A policy declares windows for regions: the smallest region that has one counts, a state before its
country, that before the law it is under, that before ``any``. All windows of one region together
are its open hours. A message may go only while it is open in every region and every time zone that
the recipient may be in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from streams.policy.regions import Regions, Zones, jurisdiction_of
from streams.policy.vocabulary import QuietHours

ANYWHERE: Final = "any"
"""The region of a window that counts where no other does."""

SEARCHED_DAYS: Final = 8
"""A window that is not open within a week and a day never is: days of the week are all it has."""

Hours = tuple[QuietHours, int | None]
"""The fact, and where it is QUIET the time in milliseconds at which it opens."""


@dataclass(frozen=True, slots=True)
class Window:
    """
    Open hours, local time, on some days of the week (0 is Monday) for messages of ``purposes``.

    ``begin`` and ``end`` are minutes of the day; ``end`` is the first minute no longer open. In
    force on UTC days from ``from_day`` on and before ``until_day``; null: no such limit.
    """

    region: str
    purposes: frozenset[str]
    days: frozenset[int]
    begin: int
    end: int
    from_day: date | None
    until_day: date | None

    def in_force(self, day: date) -> bool:
        """Whether it counts on this UTC day."""
        return (self.from_day is None or self.from_day <= day) and (
            self.until_day is None or day < self.until_day
        )

    def overlaps(self, other: Window) -> bool:
        """Whether there is a minute of some day at which both are open for some purpose."""
        return (
            self.region == other.region
            and not self.purposes.isdisjoint(other.purposes)
            and not self.days.isdisjoint(other.days)
            and self.begin < other.end
            and other.begin < self.end
            and (self.from_day or date.min) < (other.until_day or date.max)
            and (other.from_day or date.min) < (self.until_day or date.max)
        )

    def open_at(self, local: datetime) -> bool:
        """Whether it is open at this local time."""
        minute = local.hour * 60 + local.minute
        return local.weekday() in self.days and self.begin <= minute < self.end


class QuietTimes:
    """The windows of one policy. What it found is kept while the time stays the same."""

    def __init__(self, windows: Iterable[Window]) -> None:
        """Take the windows of a policy."""
        self.windows = tuple(windows)
        self.purposes = frozenset[str]().union(*(window.purposes for window in self.windows))
        """The purposes that have any quiet hours."""
        self._now_ms = -1
        self._found: dict[tuple[str, Regions, Zones], Hours] = {}

    def at(self, purpose: str, regions: Regions, zones: Zones, now_ms: int) -> Hours:
        """
        Say whether a message of ``purpose`` may come now to somebody in one of these places.

        UNKNOWN where there are hours to keep and no zone is known, or no time at which all are
        open. Pure: what is kept only saves time within a batch, whose messages share their time.
        """
        if now_ms != self._now_ms:
            self._found.clear()
            self._now_ms = now_ms
        key = (purpose, regions, zones)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._look(purpose, regions, zones, now_ms)
        return found

    def _look(self, purpose: str, regions: Regions, zones: Zones, now_ms: int) -> Hours:
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        kept = [each for each in self._of_regions(purpose, regions, now.date()) if each]
        if not kept:
            return _OPEN
        try:
            places = [ZoneInfo(zone) for zone in zones]
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return _UNKNOWN
        if not places:
            return _UNKNOWN
        if _open_everywhere(now, kept, places):
            return _OPEN
        begins = sorted(
            {
                begin
                for windows in kept
                for window in windows
                for zone in places
                for begin in _beginnings(window, zone, now)
            }
        )
        for begin in begins:
            if begin > now and _open_everywhere(begin, kept, places):
                return QuietHours.QUIET, (begin - _EPOCH) // timedelta(milliseconds=1)
        return _UNKNOWN

    def _of_regions(self, purpose: str, regions: Regions, day: date) -> Iterable[Sequence[Window]]:
        """Give for each region the windows of the smallest that has any."""
        by_region: dict[str, list[Window]] = {}
        for window in self.windows:
            if purpose in window.purposes and window.in_force(day):
                by_region.setdefault(window.region, []).append(window)
        for region in regions or (ANYWHERE,):
            yield _of_region(region, by_region)


def _of_region(region: str, by_region: Mapping[str, Sequence[Window]]) -> Sequence[Window]:
    country = region.partition("-")[0]
    for larger in (region, country, jurisdiction_of(region).name, ANYWHERE):
        if larger in by_region:
            return by_region[larger]
    return ()


def _open_everywhere(
    at: datetime, kept: Sequence[Sequence[Window]], zones: Sequence[ZoneInfo]
) -> bool:
    local = [at.astimezone(zone) for zone in zones]
    return all(
        any(window.open_at(time) for window in windows) for windows in kept for time in local
    )


def _beginnings(window: Window, zone: ZoneInfo, now: datetime) -> Iterable[datetime]:
    today = now.astimezone(zone).date()
    for ahead in range(SEARCHED_DAYS):
        day = today + timedelta(days=ahead)
        if day.weekday() in window.days:
            hour, minute = divmod(window.begin, 60)
            local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
            yield local.astimezone(UTC)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OPEN: Final[Hours] = (QuietHours.OPEN, None)
_UNKNOWN: Final[Hours] = (QuietHours.UNKNOWN, None)
