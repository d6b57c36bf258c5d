"""
When Python looks for cyclic garbage: between two batches, never in the middle of one.

What a batch makes, some twenty objects a request that the collector would walk through, is freed by
reference counts once the batch is let go. Walked through while it is there, two or three times, it
took 5 % of the gate's time. What outlives its batch (states that are kept, holds) is looked through
as usual, by generations; so are cycles, which a batch seldom makes.

The collector is one for the whole process: these are for the process of ``consent-gate gate``.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

OUTLIVING: Final = 50_000
"""So many objects more than at the last look, and the youngest are looked through: 5 to 10 ms."""

LOOKS: Final = 10
"""So many looks at a generation, and the next older one is looked through, too."""


def collect_less() -> None:
    """Leave what was made at the start out of every look from now on, and look less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OUTLIVING, LOOKS, LOOKS)


@contextmanager
def collected_later() -> Iterator[None]:
    """
    Put off any look until the end of the block, by when it should have let go of what it made.

    CPython (3.11) counts on meanwhile: if a look is due, the next object that is made begins it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
