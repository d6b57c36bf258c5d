"""
How much one transaction may hold just now.

The largest batch must commit in half of ``transaction_timeout_ms``: the coordinator aborts what
takes longer, and the same batch, taken again, would be aborted for ever. How long one takes depends
on the brokers, the partitions touched and the load, so that it is learnt: whatever was slow or
failed is followed by half as much, whatever was quick by twice as much, up to what the settings
allow.
"""

from __future__ import annotations

from typing import Final

FEWEST_FOLDED: Final = 100
"""State records that a transaction may hold at the least, so that a backlog always shrinks."""


class BatchBound:
    """
    The share of the settings' bounds that the next batch may use. For the loop's thread.

    ``slow_seconds`` is what a transaction may take before the next one is made smaller: less than
    half of its time-out, so that there is room for one that takes longer than the one before.
    """

    def __init__(self, max_records: int, max_folded: int, slow_seconds: float) -> None:
        self._max_records = max_records
        self._max_folded = max_folded
        self._slow_seconds = slow_seconds
        self._share = 1.0

    @property
    def records(self) -> int:
        """How many requests the next batch may take: at least one."""
        return max(1, int(self._share * self._max_records))

    @property
    def folded(self) -> int:
        """How many state records the next batch may fold, over all its partitions."""
        return max(FEWEST_FOLDED, int(self._share * self._max_folded))

    def committed(self, records: int, seconds: float) -> None:
        """Learn from a transaction with so many requests that was committed."""
        if seconds > self._slow_seconds:
            self.failed(records)
        else:
            self._share = min(1.0, 2 * self._share)

    def failed(self, records: int) -> None:
        """Learn from one that was aborted, or whose fate is not known."""
        # A batch may have been smaller than it might have been: half of what it was.
        used = min(self._share, records / self._max_records) if records else self._share
        self._share = max(used / 2, 1 / self._max_records)
