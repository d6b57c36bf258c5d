"""Whether the gate lives and whether it is ready, and if not, why not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from streams.telemetry import metrics
from streams.telemetry.catalogue import ConditionChanged, ConditionNeeded
from streams.telemetry.labels import Condition
from streams.telemetry.telemetry import Telemetry

BEAT_SECONDS = 30.0
"""
After how long without a beat the loop counts as stuck.

Three times the session: a gate that is slower than this has lost its partitions anyway. Shorter,
and an orchestrator would kill gates in the middle of a long commit on a busy cluster.
"""


@dataclass(frozen=True, slots=True)
class Liveness:
    """The answer of ``/livez``."""

    alive: bool
    seconds_since_beat: float

    def as_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Readiness:
    """
    The answer of ``/readyz``.

    ``reasons`` says of every condition that does not hold why; it is empty exactly if ``ready``.
    ``policy`` is None before the first was loaded. ``partitions`` maps each partition of this gate
    to its ``state`` (``running`` or ``stalled``), if stalled its ``cause``, and while it is being
    restored how much of it is (``restored``, 0 to 1).
    """

    ready: bool
    reasons: tuple[str, ...]
    policy: dict[str, str] | None
    partitions: dict[int, dict[str, object]]

    def as_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


class Health:
    """
    The conditions of being ready, and the beat of the loop.

    Thread-safe; :meth:`beat` takes no lock. Partitions and policy are what the facts emitted to
    ``telemetry`` say, so that `/readyz` and `/metrics` cannot disagree.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        beat_seconds: float = BEAT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        conditions: Iterable[Condition] = Condition,
    ) -> None:
        """
        Start with no condition holding, and as if the loop had just beaten.

        Ready is who fulfils all ``conditions``; others may be set and do not count.
        """
        self._telemetry = telemetry
        self._beat_seconds = beat_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._conditions = tuple(conditions)
        self._held: dict[Condition, bool] = dict.fromkeys(Condition, False)
        self._reasons: dict[Condition, str] = dict.fromkeys(Condition, "not yet")
        self._beaten_at = clock()
        for condition in self._conditions:
            telemetry.emit(ConditionNeeded(condition))

    def beat(self) -> None:
        """Say that the loop goes round. To be called at least every ``beat_seconds``."""
        self._beaten_at = self._clock()

    def set(self, condition: Condition, ok: bool, reason: str = "") -> None:
        """
        Say whether a condition holds, and if not, why: a few words for people, without data.

        A change is emitted as :class:`ConditionChanged`; saying the same again costs nothing.
        """
        with self._lock:
            changed = self._held[condition] is not ok
            self._held[condition] = ok
            self._reasons[condition] = reason
        if changed:
            self._telemetry.emit(ConditionChanged(condition, ok, reason))

    def livez(self) -> Liveness:
        """Return whether the loop has beaten lately."""
        since = self._clock() - self._beaten_at
        return Liveness(alive=since <= self._beat_seconds, seconds_since_beat=round(since, 3))

    def readyz(self) -> Readiness:
        """Return whether every condition holds, and what an on-call engineer asks next."""
        with self._lock:
            reasons = tuple(
                f"{condition.value}: {self._reasons[condition] or 'no'}"
                for condition in self._conditions
                if not self._held[condition]
            )
        return Readiness(
            ready=not reasons,
            reasons=reasons,
            policy=self._policy(),
            partitions=self._partitions(),
        )

    def _policy(self) -> dict[str, str] | None:
        versions = self._telemetry.values(metrics.POLICY_INFO)
        if not versions:
            return None
        ((version,),) = versions
        loaded_at = self._telemetry.values(metrics.POLICY_LOADED_AT)[()]
        since = datetime.fromtimestamp(loaded_at, UTC).isoformat(timespec="seconds")
        return {"version": version, "since": since}

    def _partitions(self) -> dict[int, dict[str, object]]:
        stalled = self._telemetry.members(metrics.STALLED_PARTITIONS)
        restored = self._telemetry.values(metrics.RESTORE_RATIO)
        partitions: dict[int, dict[str, object]] = {}
        for partition in sorted(self._telemetry.members(metrics.ASSIGNED_PARTITIONS)):
            told: dict[str, object] = {"state": "running"}
            if partition in stalled:
                (cause,) = stalled[partition]
                told = {"state": "stalled", "cause": cause}
            ratio = restored.get((str(partition),), 1.0)
            if ratio < 1.0:
                told["restored"] = round(ratio, 4)
            partitions[partition] = told
        return partitions
