"""Reading to an exact offset: everything below it, nothing twice, and knowing when it is all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition

from streams.broker.cluster import EmbeddedKafka
from streams.state import log_reader
from streams.state.log_reader import At, LogReader
from tests.state.logs import Logs, fetch_until, values

pytestmark = pytest.mark.kafka


@pytest.fixture
def logs(kafka: EmbeddedKafka) -> Iterator[Logs]:
    logs = Logs(kafka)
    yield logs
    logs.close()


@pytest.fixture
def reader(logs: Logs) -> LogReader:
    return logs.reader()


@pytest.fixture
def at(logs: Logs) -> At:
    return At(logs.topic(), 0)


def test_an_empty_partition_is_reached_at_its_beginning(reader: LogReader, at: At) -> None:
    reader.start({at: 0})
    assert reader.reached(at, 0)
    assert not reader.reached(at, 1)


def test_what_lies_below_a_target_is_handed_over_and_the_rest_stays(
    logs: Logs, reader: LogReader, at: At
) -> None:
    logs.append(at, b"0", b"1", b"2", b"3")
    reader.start({at: 0})
    assert not reader.reached(at, 3), "nothing is reached before it was fetched"
    fetch_until(reader, lambda: reader.reached(at, 4))

    assert values(reader.take_below(at, 3)) == [b"0", b"1", b"2"]
    assert values(reader.take_below(at, 3)) == []
    assert values(reader.take_below(at, 4)) == [b"3"]


def test_it_begins_at_the_offset_that_it_is_given(logs: Logs, reader: LogReader, at: At) -> None:
    logs.append(at, b"0", b"1", b"2")
    reader.start({at: 2})
    fetch_until(reader, lambda: reader.reached(at, 3))
    assert values(reader.take_below(at, 3)) == [b"2"]


def test_what_is_put_back_is_taken_again_in_its_order(
    logs: Logs, reader: LogReader, at: At
) -> None:
    logs.append(at, b"0", b"1", b"2", b"3")
    reader.start({at: 0})
    fetch_until(reader, lambda: reader.reached(at, 4))
    taken = reader.take_below(at, 3)

    reader.put_back(at, taken[1:])

    assert values(reader.take_below(at, 4)) == [b"1", b"2", b"3"]


def test_the_marker_of_a_transaction_is_reached_though_it_is_never_delivered(
    logs: Logs, reader: LogReader, at: At
) -> None:
    writer = logs.transactions()
    writer.write(at, b"0", b"1")
    writer.commit()
    reader.start({at: 0})
    fetch_until(reader, lambda: reader.reached(at, 3))  # two records and the marker
    assert values(reader.take_below(at, 3)) == [b"0", b"1"]
    assert not reader.reached(at, 4)


def test_what_was_aborted_is_never_handed_over_and_its_place_is_reached(
    logs: Logs, reader: LogReader, at: At
) -> None:
    writer = logs.transactions()
    logs.append(at, b"before")
    writer.write(at, b"aborted")
    writer.abort()
    logs.append(at, b"after")
    reader.start({at: 0})
    fetch_until(reader, lambda: reader.reached(at, 4))
    assert values(reader.take_below(at, 4)) == [b"before", b"after"]


def test_behind_an_open_transaction_nothing_is_reached_until_it_ends(
    logs: Logs, reader: LogReader, at: At
) -> None:
    writer, beside = logs.transactions(), At(at.topic, 1)
    logs.append(at, b"before")
    writer.write(at, b"open")
    logs.append(at, b"behind")
    logs.append(beside, b"beside")
    reader.start({at: 0, beside: 0})
    fetch_until(reader, lambda: reader.reached(at, 1) and reader.reached(beside, 1))
    for _ in range(10):
        reader.fetch(0.05)

    assert not reader.reached(at, 2)
    assert not reader.reached(at, 3)
    assert values(reader.take_below(at, 3)) == [b"before"]
    writer.commit()
    fetch_until(reader, lambda: reader.reached(at, 4))
    assert values(reader.take_below(at, 4)) == [b"open", b"behind"]


def test_what_comes_later_is_not_reached_by_the_end_that_was_seen_before(
    logs: Logs, reader: LogReader, at: At
) -> None:
    logs.append(at, b"0")
    reader.start({at: 0})
    fetch_until(reader, lambda: reader.reached(at, 1))
    assert not reader.reached(at, 2)
    logs.append(at, b"1")
    fetch_until(reader, lambda: reader.reached(at, 2))
    assert values(reader.take_below(at, 2)) == [b"0", b"1"]


def test_another_partition_that_begins_or_ends_loses_and_doubles_nothing(
    logs: Logs, reader: LogReader, at: At
) -> None:
    beside = At(at.topic, 1)
    logs.append(at, *(b"%d" % number for number in range(100)))
    logs.append(beside, b"beside")
    reader.start({at: 0})
    reader.fetch(0.5)
    reader.start({beside: 0})
    fetch_until(reader, lambda: reader.reached(beside, 1))
    reader.stop([beside])
    logs.append(at, b"100")
    fetch_until(reader, lambda: reader.reached(at, 101))
    assert values(reader.take_below(at, 101)) == [b"%d" % number for number in range(101)]


def test_a_partition_that_is_read_no_more_is_never_reached(
    logs: Logs, reader: LogReader, at: At
) -> None:
    logs.append(at, b"0")
    reader.start({at: 0})
    fetch_until(reader, lambda: reader.reached(at, 1))
    reader.stop([at])
    assert not reader.reached(at, 0)
    reader.put_back(at, [])
    reader.stop([at])
    reader.start({at: 0})
    assert not reader.reached(at, 1), "begun anew, it has fetched nothing"


@pytest.fixture
def few_buffered(monkeypatch: pytest.MonkeyPatch) -> int:
    """So many records that wait to be taken pause their partition."""
    monkeypatch.setattr(log_reader, "MOST_BUFFERED", 10)
    return 10


def test_a_partition_that_waits_to_be_emptied_goes_on_though_another_ends_meanwhile(
    logs: Logs, reader: LogReader, at: At, few_buffered: int
) -> None:
    beside = At(at.topic, 1)
    expected = [b"%d" % number for number in range(3 * few_buffered)]
    logs.append(at, *expected[: 2 * few_buffered])
    logs.append(beside, b"beside")
    reader.start({at: 0, beside: 0})
    fetch_until(reader, lambda: reader.waiting(at) >= few_buffered and reader.reached(beside, 1))

    reader.stop([beside])

    taken = values(reader.take_below(at, len(expected)))
    logs.append(at, *expected[2 * few_buffered :])
    while len(taken) < len(expected):
        fetch_until(reader, lambda: reader.waiting(at), 60)
        taken += values(reader.take_below(at, len(expected)))
    assert taken == expected


def test_a_partition_that_went_while_it_was_full_is_read_when_it_comes_back(
    logs: Logs, reader: LogReader, at: At, few_buffered: int
) -> None:
    logs.append(at, *(b"%d" % number for number in range(few_buffered)))
    reader.start({at: 0})
    fetch_until(reader, lambda: reader.waiting(at) >= few_buffered)
    reader.stop([at])

    reader.start({at: few_buffered - 1})

    fetch_until(reader, lambda: reader.reached(at, few_buffered), 60)
    assert values(reader.take_below(at, few_buffered)) == [b"%d" % (few_buffered - 1)]


def test_records_that_are_gone_are_a_fault_and_never_skipped(
    logs: Logs, reader: LogReader, at: At
) -> None:
    beside = At(at.topic, 1)
    logs.append(at, b"0", b"1", b"2")
    logs.append(beside, b"beside")
    [deleted] = logs.admin.delete_records([TopicPartition(at.topic, 0, 2)]).values()
    deleted.result(60)

    reader.start({at: 0, beside: 0})

    fetch_until(reader, lambda: reader.fault(at) and reader.reached(beside, 1))
    assert not reader.reached(at, 3)
    assert reader.take_below(at, 3) == []
    assert reader.fault(beside) is None
