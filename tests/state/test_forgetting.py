"""What a gate keeps on disk of partitions that are another gate's by now, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.state import forgetting
from streams.state.forgetting import KEPT_MS, Forgetting
from streams.state.store import PartitionWrite, Reached, Store

NOW = 1_520_640_000_000
SUBJECT = bytes(16)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens the test's store; again, to start anew with what is on disk."""
    stores: list[Store] = []

    def open_anew() -> Store:
        if stores:
            stores.pop().close()
        stores.append(Store(tmp_path, map_bytes=1 << 24, written_by="a test"))
        return stores[0]

    yield open_anew
    stores.pop().close()


def filled(store: Store, subjects: int = 1) -> Store:
    """Partitions 1 and 2, and 3, which a restore has only begun."""
    for partition in (1, 2, 3):
        ids = [number.to_bytes(16, "big") for number in range(subjects)]
        reached = None if partition == 3 else Reached(b"position", 1, 1, NOW)
        content = dict.fromkeys(ids, b"value")
        store.write([PartitionWrite(partition, content, content, reached)])
    return store


def kept(store: Store) -> set[int]:
    found = {partition for partition in range(5) if store.key(partition, SUBJECT) is not None}
    assert found == {partition for partition in range(5) if store.state(partition, SUBJECT)}
    return found


def test_what_is_another_gates_is_kept_for_a_day_and_not_longer(
    opened: Callable[[], Store],
) -> None:
    store = filled(opened())
    forget = Forgetting(store)

    assert forget.step({1, 2, 3}, NOW) is None
    assert forget.step({1}, NOW) is None
    assert forget.step({1}, NOW + KEPT_MS - 1) is None
    assert kept(store) == {1, 2, 3}
    assert {forget.step({1}, NOW + KEPT_MS) for _ in range(3)} == {2, 3, None}
    assert kept(store) == {1}
    assert store.reached(1) is not None
    assert store.reached(2) is None


def test_a_restart_does_not_begin_the_day_again(
    opened: Callable[[], Store],
) -> None:
    store = filled(opened())
    Forgetting(store).step({1}, NOW)

    again = opened()
    forget = Forgetting(again)
    while forget.step({1}, NOW + KEPT_MS) is not None:
        pass

    assert kept(again) == {1}


def test_what_came_back_in_time_is_kept(
    opened: Callable[[], Store],
) -> None:
    store = filled(opened())
    forget = Forgetting(store)
    forget.step({1}, NOW)
    forget.step({1, 2, 3}, NOW + KEPT_MS - 1)

    assert forget.step({1, 2, 3}, NOW + KEPT_MS) is None
    assert forget.step({1}, NOW + KEPT_MS + 1) is None
    assert kept(store) == {1, 2, 3}


def test_much_is_forgotten_in_pieces_and_its_position_first(
    opened: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "MOST_AT_ONCE", 10)
    store = filled(opened(), subjects=25)
    forget = Forgetting(store)
    forget.step({2, 3}, NOW)

    assert forget.step({2, 3}, NOW + KEPT_MS) is None
    assert store.reached(1) is None
    assert len(list(store.states(1))) > 0
    steps = 1
    while forget.step({2, 3}, NOW + KEPT_MS) is None:
        steps += 1
        assert steps < 10
    assert list(store.states(1)) == []
    assert kept(store) == {2, 3}
    assert forget.step({2, 3}, NOW + KEPT_MS) is None
