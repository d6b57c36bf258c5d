"""A file imported: what is sent, what is written down, where it goes on."""

from __future__ import annotations

import codecs
import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from streams.errors import ConfigError, KafkaUnavailable, StoreInUse
from streams.importing import importing
from streams.importing.columns import Column, ListKind
from streams.importing.importing import (
    Order,
    Outcome,
    import_list,
    journal_path,
    refused_path,
)
from streams.importing.reading import Defaults, Fault
from streams.importing.sending import NotSending
from streams.records.events import ConsentEvent, ConsentKind
from streams.sealing.subject_ids import SubjectIds
from streams.testing.records import a_number

IDS = SubjectIds(bytes(32))
Write = Callable[..., Path]


class Kept(NotSending):
    """Keeps what is sent; ends the connection after ``most`` pieces."""

    def __init__(self, most: int | None = None, destination: str = "here") -> None:
        self.events: list[ConsentEvent] = []
        self.destination = destination  # type: ignore[misc]  # another cluster
        self._most = most

    def send(self, event: ConsentEvent) -> None:
        self.events.append(event)

    def settle(self) -> None:
        if self._most is not None:
            self._most -= 1
            if self._most < 0:
                raise KafkaUnavailable("no answer")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a list and return its path."""

    def written(*lines: str, encoding: str = "utf-8", name: str = "list.csv") -> Path:
        path = tmp_path / name
        path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
        return path

    return written


def order(file: Path, **changes: object) -> Order:
    return replace(Order(file, ListKind.SUPPRESSIONS, {}, Defaults(), rate=1_000_000), **changes)


def run(an_order: Order, sends: Kept | None = None) -> tuple[Outcome, list[ConsentEvent]]:
    sends = sends or Kept()
    return import_list(an_order, sends, subject_id=IDS.of), sends.events


def subjects(events: list[ConsentEvent]) -> list[str]:
    return [event.subject for event in events]


def numbers(*which: int) -> list[str]:
    return [a_number(n) for n in which]


def test_lines_become_events_and_the_others_wait_to_be_mended(write: Write) -> None:
    file = write("name;subject;purpose", f"Li;{a_number(1)};", "Mum;at home;", f"Xu;{a_number(2)};")

    outcome, events = run(order(file))

    assert subjects(events) == numbers(1, 2)
    assert {event.kind for event in events} == {ConsentKind.WITHDRAWN}
    assert (outcome.records, outcome.imported) == (3, 2)
    assert outcome.refused == {Fault.NO_NUMBER: 1}
    assert outcome.unused == ("name",)
    path = refused_path(file)
    assert path.read_text() == (
        "refused_line;refused_because;name;subject;purpose\n"
        f"3;{Fault.NO_NUMBER.value};Mum;at home;\n"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not journal_path(file).exists()


def test_mended_lines_are_imported_from_where_they_were_put(write: Write) -> None:
    file = write("subject,note", "at home,x", 'here,"a, b"')
    run(order(file))
    mended = refused_path(file)
    mended.write_text(mended.read_text().replace("at home", a_number(1)))

    outcome, events = run(order(mended))

    assert subjects(events) == numbers(1)
    assert outcome.unused == ("refused_line", "refused_because", "note")
    assert refused_path(mended).read_text().splitlines()[1].startswith("3,no phone number")


def test_a_stopped_import_goes_on_where_everything_was_acknowledged(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "PIECE", 3)
    lines = [a_number(n) if n % 4 else f"person {n}" for n in range(1, 12)]
    file = write("subject", *lines)

    stopped, first = run(order(file), Kept(most=2))
    assert isinstance(stopped.failure, KafkaUnavailable)
    assert stopped.imported == 5
    assert stat.S_IMODE(journal_path(file).stat().st_mode) == 0o600
    assert "+" not in journal_path(file).read_text()
    # Lines 8 to 10 were on their way; what was refused of them is written down already.
    assert len(refused_path(file).read_text().splitlines()) == 3
    outcome, second = run(order(file))

    assert outcome.went_on_after == 7
    assert subjects(second) == [each for each in lines[6:] if each.startswith("+")]
    assert {event.event_id for event in first} > {event.event_id for event in second[:2]}
    assert (outcome.records, outcome.imported, outcome.refused) == (11, 9, {Fault.NO_NUMBER: 2})
    refused = refused_path(file).read_text().splitlines()[1:]
    assert [line.partition(",")[0] for line in refused] == ["5", "9"]
    assert not journal_path(file).exists()


@pytest.mark.parametrize("change", ["file", "order", "cluster", "refused", "journal"])
def test_what_was_done_of_another_import_counts_for_nothing(
    write: Write, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(importing, "PIECE", 2)
    lines = ["nobody", *numbers(1, 2, 3)]
    file = write("subject", *lines)
    run(order(file), Kept(most=1))
    assert journal_path(file).exists()
    then, sends = order(file), Kept()
    match change:
        case "file":
            write("subject", *lines, a_number(4))
        case "order":
            then = order(file, defaults=Defaults(purpose="invite"))
        case "cluster":
            sends = Kept(destination="there")
        case "refused":
            refused_path(file).unlink()
        case "journal":
            journal_path(file).write_text("{")

    outcome, events = run(then, sends)

    assert outcome.went_on_after is None
    assert subjects(events)[:3] == numbers(1, 2, 3)
    assert len(refused_path(file).read_text().splitlines()) == 2


def test_a_list_without_a_heading_goes_on_too(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "PIECE", 1)
    file = write(*numbers(1, 2, 3))
    run(order(file, heading=False), Kept(most=2))
    assert subjects(run(order(file, heading=False))[1]) == numbers(3)


def test_stopped_again_and_again_it_keeps_what_was_refused(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "PIECE", 1)
    file = write("subject", "nobody", *numbers(1, 2), "no one")
    for _ in range(3):
        run(order(file), Kept(most=1))
    run(order(file))
    refused = refused_path(file).read_text().splitlines()[1:]
    assert [line.partition(",")[0] for line in refused] == ["2", "5"]


def test_a_dry_run_in_between_makes_it_begin_anew(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes the refused lines anew, so that what was noted of them is void."""
    monkeypatch.setattr(importing, "PIECE", 1)
    file = write("subject", "nobody", *numbers(1), "no one")
    run(order(file), Kept(most=1))
    import_list(order(file, dry_run=True), NotSending(), subject_id=IDS.of)
    outcome, _ = run(order(file))
    assert outcome.went_on_after is None
    assert len(refused_path(file).read_text().splitlines()) == 3


def test_the_same_list_again_is_the_same_events(write: Write) -> None:
    file = write("subject", *numbers(1, 2))
    _, once = run(order(file))
    _, again = run(order(file))
    other = write("phone,list", *(f"{number}," for number in numbers(1, 2)), name="other.csv")
    os.utime(other, ns=(0, file.stat().st_mtime_ns))
    _, elsewhere = run(order(other, mapped={Column.SUBJECT: "phone"}))
    assert once == again == elsewhere


def test_a_newer_list_suppresses_anew(write: Write) -> None:
    """Somebody on it may have said yes in between, and no again to whoever keeps the list."""
    file = write("subject", *numbers(1))
    _, (older,) = run(order(file))
    os.utime(file, (2_000_000_000, 2_000_000_000))
    _, (newer,) = run(order(file))
    assert newer.occurred_at == 2_000_000_000_000
    assert newer.event_id != older.event_id


def test_a_dry_run_sends_nothing_and_notes_nothing(write: Write) -> None:
    file = write("subject", *numbers(1), "nobody")
    outcome = import_list(order(file, dry_run=True), NotSending(), subject_id=IDS.of)
    assert (outcome.imported, outcome.refused) == (1, {Fault.NO_NUMBER: 1})
    assert refused_path(file).exists()
    assert not journal_path(file).exists()


def test_refused_lines_of_a_former_run_are_gone_when_there_are_none(write: Write) -> None:
    file = write("subject", "nobody")
    run(order(file))
    write("subject", *numbers(1))
    outcome, _ = run(order(file))
    assert outcome.refused_file is None
    assert not refused_path(file).exists()


def test_refused_lines_go_through_no_link(write: Write, tmp_path: Path) -> None:
    file = write("subject", "nobody")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    refused_path(file).symlink_to(elsewhere)
    run(order(file))
    assert elsewhere.read_text() == "mine"
    assert not refused_path(file).is_symlink()


@pytest.mark.parametrize(
    ("encoding", "given"),
    [("utf-8", None), ("utf-8-sig", None), ("utf-16", None), ("gb18030", "gb18030")],
)
def test_a_list_is_read_and_written_back_in_its_encoding(
    write: Write, encoding: str, given: str | None
) -> None:
    file = write("subject,姓名", f"{a_number(1)},李", "没有,王", encoding=encoding)
    outcome, events = run(order(file, encoding=given))
    assert subjects(events) == numbers(1)
    assert outcome.unused == ("姓名",)
    raw = refused_path(file).read_bytes()
    assert raw.decode(encoding).splitlines()[1].endswith(",没有,王")
    if encoding != "utf-8":
        assert raw.count(codecs.BOM_UTF8) == (encoding == "utf-8-sig")


def test_bytes_that_are_no_text_refuse_only_where_they_are_read(write: Write) -> None:
    file = write(
        "subject,purpose,name",
        f"{a_number(1)},,Jos\xe9",
        f"{a_number(2)},caf\xe9,",
        encoding="latin-1",
    )
    outcome, events = run(order(file))
    assert subjects(events) == numbers(1)
    assert outcome.refused == {Fault.TEXT: 1}
    assert b"caf\xe9" in refused_path(file).read_bytes()


def test_no_text_in_the_encoding_is_a_clear_stop(write: Write) -> None:
    file = write("subject", encoding="utf-16")
    file.write_bytes(file.read_bytes() + b"1")
    with pytest.raises(ConfigError, match="not text in utf-16"):
        run(order(file))


def test_a_list_without_a_heading(write: Write) -> None:
    file = write(*numbers(1, 2), "nobody")
    outcome, events = run(order(file, heading=False))
    assert subjects(events) == numbers(1, 2)
    assert outcome.refused == {Fault.NO_NUMBER: 1}
    assert refused_path(file).read_text() == f"3,{Fault.NO_NUMBER.value},nobody\n"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "is empty"),
        (["", "  "], "is empty"),
        (["a,b"], "no column is called 'subject'"),
        (['"a,b'], "not CSV"),
    ],
)
def test_what_is_no_list_is_a_clear_stop(write: Write, lines: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        run(order(write(*lines)))


def test_what_is_no_file_is_a_clear_stop(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        run(order(tmp_path / "none.csv"))
    with pytest.raises(ConfigError, match="cannot be read"):
        run(order(tmp_path))
    with pytest.raises(ConfigError, match="is not a file"):
        run(order(Path("/dev/null")))


def test_one_import_of_a_list_at_a_time(write: Write) -> None:
    file = write("subject", *numbers(1))

    class Again(Kept):
        def settle(self) -> None:
            with pytest.raises(StoreInUse, match="Another process is importing"):
                run(order(file))

    assert run(order(file), Again())[0].imported == 1


def test_a_list_that_changes_under_way_is_a_clear_stop(write: Write) -> None:
    file = write("subject", *numbers(1))

    class Changing(Kept):
        def settle(self) -> None:
            write("subject", *numbers(1, 2))

    with pytest.raises(ConfigError, match="was changed while it was read"):
        run(order(file), Changing())


def test_no_more_than_the_rate_is_sent(write: Write) -> None:
    file = write("subject", *numbers(*range(100)))

    class Waiting(Kept):
        waited = 0.0

        def wait(self, seconds: float) -> None:
            self.waited += seconds

    sends = Waiting()
    run(order(file, rate=10), sends)
    # Nobody slept in between: each wait is counted from the beginning.
    assert sends.waited == pytest.approx(100 / 10 + 50 / 10, abs=1)


def test_what_was_noted_says_how_far_and_nothing_of_anybody(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "PIECE", 1)
    file = write("subject,name", f"{a_number(1)},Li", f"{a_number(2)},Xu")
    run(order(file), Kept(most=1))
    noted = json.loads(journal_path(file).read_text())
    assert (noted["line"], noted["imported"]) == (2, 1)
    assert "Li" not in str(noted)
