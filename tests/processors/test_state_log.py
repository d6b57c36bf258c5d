"""Cut off anywhere, the records of the state give what was before a batch or what is after it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import StateLost
from streams.processors.state_log import Entry, KeyValue, Mark, Restored, key_of, restored

KEYS = st.sampled_from(["a", "b", "c", "d"])
BATCHES = st.lists(
    st.dictionaries(KEYS, st.none() | st.binary(max_size=3), min_size=1, max_size=4), max_size=8
)


class Writer:
    """Writes batches as a lane does, and remembers the state after each."""

    def __init__(self) -> None:
        self.log: list[KeyValue] = []
        self.after: list[tuple[int, dict[str, bytes]]] = [(0, {})]
        self.state = Restored()

    def write(self, changes: dict[str, bytes | None]) -> None:
        kept, mark, deleted = self.state.kept, self.state.mark, self.state.deleted
        batch = mark.batch + 1
        self.log += [(key_of("one", key), None) for key in deleted if key not in changes]
        self.log += [
            (key_of("one", key), Entry(batch, value, kept.get(key)).framed())
            for key, value in changes.items()
        ]
        mark = Mark(batch, {"sms.inbound": batch * 10})
        self.log.append((key_of("one", ""), mark.framed()))
        now = {key: value for key, value in {**kept, **changes}.items() if value is not None}
        gone = tuple(key for key, value in changes.items() if value is None)
        self.state = Restored(now, mark, {}, gone)
        self.after.append((len(self.log), now))

    def repair(self) -> None:
        state = restored(self.log, "here").get("one", Restored())
        mark = state.mark
        if state.repairs:
            mark = Mark(mark.batch + 1, mark.applied)
            self.log += [
                (key_of("one", key), Entry(mark.batch, value, value).framed())
                for key, value in state.repairs.items()
            ]
            self.log.append((key_of("one", ""), mark.framed()))
        self.state = Restored(state.kept, mark, {}, state.deleted)


def compacted(log: list[KeyValue]) -> list[KeyValue]:
    """What a broker may leave of it: the last record of each key."""
    last = {key: index for index, (key, _) in enumerate(log)}
    return [record for index, record in enumerate(log) if last[record[0]] == index]


@given(batches=BATCHES, cut=st.integers(0, 60), compact=st.booleans())
def test_a_log_cut_anywhere_holds_whole_batches(
    batches: list[dict[str, bytes | None]], cut: int, compact: bool
) -> None:
    writer = Writer()
    for changes in batches:
        writer.write(changes)
    cut = min(cut, len(writer.log))
    log = writer.log[:cut]

    found = restored(compacted(log) if compact else log, "here").get("one", Restored())

    whole = [state for end, state in writer.after if end <= cut][-1]
    assert found.kept == whole


@given(first=BATCHES, second=BATCHES, cut=st.integers(0, 60))
def test_what_is_written_after_a_cut_stands_on_what_was_before_it(
    first: list[dict[str, bytes | None]], second: list[dict[str, bytes | None]], cut: int
) -> None:
    writer = Writer()
    for changes in first:
        writer.write(changes)
    del writer.log[cut:]
    writer.repair()
    for changes in second:
        writer.write(changes)

    found = restored(compacted(writer.log), "here").get("one", Restored())

    assert found.kept == writer.state.kept
    assert not found.repairs


def test_agents_share_a_partition_and_nothing_else() -> None:
    log: list[KeyValue] = []
    for name in ("one", "two"):
        log.append((key_of(name, "k"), Entry(1, name.encode(), None).framed()))
        log.append((key_of(name, ""), Mark(1, {"sms.inbound": 3}).framed()))

    found = restored(log, "here")

    assert {name: state.kept for name, state in found.items()} == {
        "one": {"k": b"one"},
        "two": {"k": b"two"},
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b"x"),
        (b"no colon", b"x"),
        (b"one:k", b"x"),
        (b"one:k", Entry(1, b"abc", None).framed()[:-1]),
        (b"one:k", Entry(1, b"abc", None).framed() + b"x"),
        (b"one:", b"{}"),
        (b"one:", None),
        (b"\xff:", b"x"),
    ],
)
def test_what_nobody_here_wrote_is_never_skipped(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(StateLost, match=r"worker\.state partition 3"):
        restored([(key, value)], "worker.state partition 3")


def test_no_value_is_shown() -> None:
    assert "secret" not in repr(Entry(1, b"secret", b"secret"))
    assert "secret" not in repr(Restored({"k": b"secret"}))
