"""How far back to look, as people write it: ``24h``, ``30d``, or a day."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from streams.errors import ConfigError

_AGO = re.compile(r"([0-9]{1,6})(m|h|d)")
_UNIT_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


def moment(written: str, now: int) -> int:
    """
    Turn ``24h``, ``30m``, ``7d`` (before ``now``) or ``2026-01-31`` (its first moment, UTC) into
    milliseconds since the epoch.

    :raises ConfigError: it is none of these.
    """
    ago = _AGO.fullmatch(written)
    if ago is not None:
        return max(0, now - int(ago[1]) * _UNIT_MS[ago[2]])
    try:
        day = datetime.strptime(written, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise ConfigError(
            f"--since {written!r} is not a time: write 24h, 30m, 7d, or a day such as 2026-01-31."
        ) from error
    return int(day.timestamp() * 1000)
