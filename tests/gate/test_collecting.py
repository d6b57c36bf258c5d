"""Python looks for cyclic garbage between batches only, and what cannot be reached does go."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from streams.gate.collecting import OUTLIVING, collect_less, collected_later


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


class _Knot:
    """Refers to itself, so that counting references never lets go of it."""

    def __init__(self) -> None:
        self.itself = self


def test_no_look_is_taken_inside_and_one_that_is_due_right_after() -> None:
    collect_less()
    looks: list[int] = []

    def told(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            looks.append(info["generation"])

    gc.callbacks.append(told)
    try:
        with collected_later():
            gone = weakref.ref(_Knot())
            outliving = [[] for _ in range(2 * OUTLIVING)]  # type: ignore[var-annotated]
            inside = list(looks)
        after = [[]]  # type: ignore[var-annotated]  # the object that begins what is due
    finally:
        gc.callbacks.remove(told)

    assert inside == []
    assert looks, "what outlived the batch was never looked through"
    assert gone() is None
    assert len(outliving) == 2 * OUTLIVING
    assert after


def test_the_next_look_is_not_lost_with_an_error() -> None:
    with pytest.raises(KeyError), collected_later():
        raise KeyError

    assert gc.isenabled()
