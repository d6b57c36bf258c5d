"""The store: what was written is there, with how far it goes; what is doubtful is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.errors import StoreFull, StoreInUse
from streams.state.store import PartitionWrite, Reached, Store, boot_id

ROOMY = 16 * 1024 * 1024
ONE, OTHER = b"1" * 16, b"2" * 16
HERE = Reached(b"position", changelog_next=7, keys_next=3, saved_at=1_000)


def opened(directory: Path, map_bytes: int = ROOMY, written_by: str = "boot cluster") -> Store:
    return Store(directory, map_bytes=map_bytes, written_by=written_by)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = opened(tmp_path)
    yield store
    store.close()


def test_an_empty_store_knows_nothing(store: Store) -> None:
    assert store.state(0, ONE) is None
    assert store.key(0, ONE) is None
    assert store.reached(0) is None
    assert list(store.states(0)) == []


def test_what_was_written_is_read_and_none_removes(store: Store) -> None:
    store.write([PartitionWrite(0, {ONE: b"a", OTHER: b"b"}, {ONE: b"key"}, HERE)])
    assert (store.state(0, ONE), store.key(0, ONE)) == (b"a", b"key")
    assert store.reached(0) == HERE

    store.write([PartitionWrite(0, {ONE: b"c", OTHER: None}, {ONE: None, OTHER: None})])

    assert dict(store.states(0)) == {ONE: b"c"}
    assert store.key(0, ONE) is None
    assert store.reached(0) == HERE, "a write that says nothing of it leaves it"


def test_a_read_after_a_write_sees_it_though_one_came_before(store: Store) -> None:
    assert store.state(0, ONE) is None
    store.write([PartitionWrite(0, {ONE: b"a"})])
    assert store.state(0, ONE) == b"a"


def test_partitions_do_not_see_each_other(store: Store) -> None:
    # 255, 256 and 257 share bytes with each other: a prefix must not run into the next.
    for partition in (0, 1, 255, 256, 257):
        store.write([PartitionWrite(partition, {ONE: b"%d" % partition}, {ONE: b"key"}, HERE)])
    store.forget(256)
    assert store.state(256, ONE) is None
    assert store.key(256, ONE) is None
    assert store.reached(256) is None
    for partition in (0, 1, 255, 257):
        assert list(store.states(partition)) == [(ONE, b"%d" % partition)]
        assert store.key(partition, ONE) == b"key"
        assert store.reached(partition) == HERE


def test_to_forget_what_is_not_there_is_no_error(store: Store) -> None:
    store.forget(3)
    store.write([PartitionWrite(4, {ONE: b"a"})])
    store.forget(3)
    assert store.state(4, ONE) == b"a"


def test_it_is_there_after_it_was_closed(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.write([PartitionWrite(0, {ONE: b"a"}, {ONE: b"key"}, HERE)])
    first.close()

    again = opened(tmp_path)

    assert (again.state(0, ONE), again.key(0, ONE), again.reached(0)) == (b"a", b"key", HERE)
    again.close()


def test_what_another_boot_cluster_or_key_wrote_is_dropped(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.write([PartitionWrite(0, {ONE: b"a"}, {ONE: b"key"}, HERE)])
    first.close()

    other = opened(tmp_path, written_by="another boot")

    assert (other.state(0, ONE), other.key(0, ONE), other.reached(0)) == (None, None, None)
    other.close()
    back = opened(tmp_path)
    assert back.state(0, ONE) is None, "nor does it come back"
    back.close()


def test_what_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path, map_bytes=256 * 1024)
    store.write([PartitionWrite(0, {ONE: b"before"}, reached=HERE)])
    beyond = Reached(b"later", changelog_next=99, keys_next=99, saved_at=2_000)
    large = {index.to_bytes(16, "big"): bytes(2_000) for index in range(1_000)}

    with pytest.raises(StoreFull, match="state_map_bytes"):
        store.write([PartitionWrite(0, {ONE: b"after"}, reached=beyond), PartitionWrite(1, large)])

    assert store.state(0, ONE) == b"before"
    assert store.reached(0) == HERE
    assert list(store.states(1)) == []
    store.write([PartitionWrite(0, {ONE: b"fits"})])
    assert store.state(0, ONE) == b"fits"
    store.close()


def test_a_second_process_is_refused_and_told_what_to_do(tmp_path: Path, store: Store) -> None:
    code = (
        "import sys; from pathlib import Path; from streams.state.store import Store\n"
        "Store(Path(sys.argv[1]), map_bytes=2**24, written_by='x')"
    )
    store.write([PartitionWrite(0, {ONE: b"a"})])

    second = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60
    )

    assert second.returncode != 0
    assert "StoreInUse" in second.stderr
    assert "instance_id" in second.stderr
    assert store.state(0, ONE) == b"a", "and it has dropped nothing"


def test_it_is_free_again_once_it_is_closed(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(StoreInUse):
        opened(tmp_path)
    first.close()
    opened(tmp_path).close()


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    store = opened(tmp_path / "state")
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0
    assert (tmp_path / "state" / "subjects.lmdb").stat().st_mode & 0o077 == 0
    store.close()


def test_a_boot_has_one_name() -> None:
    if not Path("/proc/sys/kernel/random/boot_id").exists():
        assert boot_id() != boot_id(), "without a name nothing may pass for this boot's"
    else:
        assert boot_id() == boot_id() != ""


ids = st.binary(min_size=16, max_size=16)
changes = st.dictionaries(ids, st.none() | st.binary(max_size=8), max_size=6)
writes = st.lists(st.tuples(st.integers(0, 300), changes, st.booleans()), max_size=12, min_size=1)


@settings(deadline=None, max_examples=40)
@given(history=writes)
def test_it_is_a_dictionary_for_each_partition(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[int, dict, bool]]
) -> None:
    store = opened(tmp_path_factory.mktemp("store"))
    expected: dict[int, dict[bytes, bytes]] = {}
    for partition, states, forget in history:
        if forget:
            store.forget(partition)
            expected.pop(partition, None)
        store.write([PartitionWrite(partition, states)])
        mine = expected.setdefault(partition, {})
        for subject_id, value in states.items():
            if value is None:
                mine.pop(subject_id, None)
            else:
                mine[subject_id] = value
        for number, held in expected.items():
            assert list(store.states(number)) == sorted(held.items())
    store.close()
