"""Restoring a partition from its changelog: what is used, what is rebuilt, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.errors import StateLost
from streams.records.subject import POSITION_KEY
from streams.state.log_reader import At
from streams.state.restore import COPY_USABLE_MS, Extent, Restore
from streams.state.store import PartitionWrite, Reached, Store
from tests.state.logs import Logs, Transactions, fetch_until

pytestmark = pytest.mark.kafka

ONE, OTHER = b"1" * 16, b"2" * 16
NOW = 10 * COPY_USABLE_MS


class Changelog:
    """A partition's two topics, a gate that writes them in transactions, and a store."""

    def __init__(self, logs: Logs, folder: Path) -> None:
        self.states, self.keys = At(logs.topic(), 0), At(logs.topic(), 0)
        self.writer: Transactions = logs.transactions()
        self.reader = logs.reader()
        self.store = Store(folder, map_bytes=2**24, written_by="test")
        self.highs = {self.states: 0, self.keys: 0}

    def write(self, at: At, key: bytes, value: bytes | None) -> None:
        self.writer.write(at, value, key=key)
        self.highs[at] += 1

    def commit(self, position: bytes | None) -> None:
        """End the transaction, as the gate does: with the position as its last record."""
        if position is not None:
            self.write(self.states, POSITION_KEY, position)
        self.writer.commit()
        self.ended()

    def ended(self) -> None:
        """Count the markers: one in each partition that the transaction wrote to."""
        for at in self.highs:
            if self.highs[at]:
                self.highs[at] += 1

    def begin(self, low: int = 0, now_ms: int = NOW) -> Restore:
        return Restore(
            0,
            store=self.store,
            reader=self.reader,
            changelog=Extent(self.states, low, self.highs[self.states]),
            keys=Extent(self.keys, 0, self.highs[self.keys]),
            now_ms=now_ms,
        )

    def restored(self, restore: Restore) -> Restore:
        fetch_until(self.reader, restore.step)
        return restore


@pytest.fixture
def changelog(kafka: EmbeddedKafka, tmp_path: Path) -> Iterator[Changelog]:
    logs = Logs(kafka)
    changelog = Changelog(logs, tmp_path)
    yield changelog
    changelog.store.close()
    logs.close()


def written(changelog: Changelog) -> Changelog:
    """Two transactions: both people get a state and a key, then one of them is changed."""
    for subject_id in (ONE, OTHER):
        changelog.write(changelog.states, subject_id, b"old")
        changelog.write(changelog.keys, subject_id, b"key")
    changelog.commit(b"first")
    changelog.write(changelog.states, ONE, b"new")
    changelog.write(changelog.keys, ONE, None)
    changelog.commit(b"second")
    return changelog


def test_on_an_empty_disk_everything_is_rebuilt(changelog: Changelog) -> None:
    written(changelog)

    restore = changelog.restored(changelog.begin())

    assert (restore.rebuilt, restore.position) == (True, b"second")
    assert dict(changelog.store.states(0)) == {ONE: b"new", OTHER: b"old"}
    assert changelog.store.key(0, ONE) is None, "what was shredded stays so"
    assert changelog.store.key(0, OTHER) == b"key"
    states_high, keys_high = changelog.highs.values()
    assert changelog.store.reached(0) == Reached(b"second", states_high, keys_high, NOW)


def test_a_copy_goes_on_from_where_it_stands(changelog: Changelog) -> None:
    written(changelog)
    changelog.restored(changelog.begin())
    changelog.write(changelog.states, OTHER, b"newer")
    changelog.write(changelog.keys, OTHER, b"another key")
    changelog.commit(b"third")

    restore = changelog.restored(changelog.begin(now_ms=NOW + 1))

    assert (restore.rebuilt, restore.position) == (False, b"third")
    assert restore.records == 3, "only what is new was read"
    assert dict(changelog.store.states(0)) == {ONE: b"new", OTHER: b"newer"}
    assert changelog.store.key(0, OTHER) == b"another key"


def test_with_nothing_new_the_copy_stands_as_it_is(changelog: Changelog) -> None:
    written(changelog)
    changelog.restored(changelog.begin())

    restore = changelog.restored(changelog.begin())

    assert (restore.rebuilt, restore.records, restore.position) == (False, 0, b"second")


@pytest.mark.parametrize(
    "copy",
    [
        pytest.param(Reached(b"copy", 3, 2, NOW - COPY_USABLE_MS), id="too old"),
        pytest.param(Reached(b"copy", 3, 2, NOW + 1), id="from the future"),
        pytest.param(Reached(b"copy", 99, 2, NOW), id="ahead of the changelog"),
        pytest.param(Reached(b"copy", 3, 99, NOW), id="ahead of the keys"),
    ],
)
def test_a_doubtful_copy_is_thrown_away_and_rebuilt(changelog: Changelog, copy: Reached) -> None:
    written(changelog)
    gone = b"9" * 16
    changelog.store.write([PartitionWrite(0, {gone: b"stale"}, {ONE: b"shredded"}, copy)])

    restore = changelog.restored(changelog.begin())

    assert (restore.rebuilt, restore.position) == (True, b"second")
    assert dict(changelog.store.states(0)) == {ONE: b"new", OTHER: b"old"}
    assert changelog.store.key(0, ONE) is None


def test_a_copy_from_before_the_beginning_of_the_changelog_is_rebuilt(
    changelog: Changelog,
) -> None:
    written(changelog)
    copy = Reached(b"copy", 1, 2, NOW)
    changelog.store.write([PartitionWrite(0, {b"9" * 16: b"stale"}, {}, copy)])

    restore = changelog.restored(changelog.begin(low=4))  # the second transaction is left

    assert restore.rebuilt
    assert dict(changelog.store.states(0)) == {ONE: b"new"}


def test_what_a_rebuild_left_that_was_cut_off_is_thrown_away(changelog: Changelog) -> None:
    """Its position is written last. A key in it may have been shredded since, and its tombstone
    compacted away."""
    written(changelog)
    shredded = b"9" * 16
    changelog.store.write([PartitionWrite(0, {shredded: b"stale"}, {shredded: b"shredded"})])

    restore = changelog.restored(changelog.begin())

    assert (restore.rebuilt, restore.position) == (True, b"second")
    assert dict(changelog.store.states(0)) == {ONE: b"new", OTHER: b"old"}
    assert changelog.store.key(0, shredded) is None


def test_what_was_aborted_is_not_restored(changelog: Changelog) -> None:
    written(changelog)
    changelog.write(changelog.states, ONE, b"aborted")
    changelog.write(changelog.keys, OTHER, None)
    changelog.write(changelog.states, POSITION_KEY, b"aborted")
    changelog.writer.abort()
    changelog.ended()

    restore = changelog.restored(changelog.begin())

    assert restore.position == b"second"
    assert changelog.store.state(0, ONE) == b"new"
    assert changelog.store.key(0, OTHER) == b"key"


def test_it_waits_for_a_transaction_of_a_predecessor_to_end(changelog: Changelog) -> None:
    written(changelog)
    changelog.write(changelog.states, ONE, b"in flight")
    changelog.write(changelog.states, POSITION_KEY, b"third")
    restore = changelog.begin()
    for _ in range(10):
        changelog.reader.fetch(0.05)
        assert not restore.step()
    changelog.writer.commit()

    changelog.restored(restore)

    assert restore.position == b"third"
    assert changelog.store.state(0, ONE) == b"in flight"


def test_states_without_a_position_were_not_written_by_a_gate(changelog: Changelog) -> None:
    changelog.write(changelog.states, ONE, b"state")
    changelog.commit(None)
    with pytest.raises(StateLost, match="no position"):
        changelog.restored(changelog.begin())
    assert changelog.store.reached(0) is None


def test_the_progress_is_told_up_to_all_of_it(changelog: Changelog) -> None:
    written(changelog)
    told: list[tuple[int, int]] = []
    restore = changelog.begin()
    fetch_until(
        changelog.reader, lambda: restore.step(lambda done, total: told.append((done, total)))
    )
    total = sum(changelog.highs.values())
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
