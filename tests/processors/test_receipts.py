"""
Address books from the app to their receipts, through a worker and a gate that are both killed.

One run for all stories: people who are found, people who are not, strangers who know nothing of it;
gate and worker are processes with debug logs, and each is killed once while uploads are under way.
Afterwards everything that the run has left anywhere is looked at.
"""

from __future__ import annotations

import secrets
import signal
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.config import LogLevel
from streams.processors.agent import Agent, MakeAgent, Timer, Tools
from streams.processors.receipts import receipts
from streams.processors.state_log import key_of
from streams.processors.uploads import uploads
from streams.records.contacts import UploadCompleted, UploadedContact
from streams.records.events import Basis, ConsentKind, Source
from streams.records.subject import POSITION_KEY
from streams.state import running_out
from streams.state.fold_contacts import without_what_ran_out
from streams.state.screening import DISCOVERABLE
from streams.testing.records import (
    a_consent_event,
    a_number,
    an_inbound_sms,
    an_upload,
    an_upload_withdrawn,
)
from streams.topology import (
    CONSENT_EVENTS,
    CONTACTS_ENTRIES,
    CONTACTS_UPLOADED,
    DAY_MS,
    DEAD_LETTERS,
    SMS_ALLOWED,
    SMS_INBOUND,
    SMS_REQUESTED,
    SUBJECTS_STATE,
    TOPICS,
    UPLOADS_COMPLETED,
    WORKER_STATE,
    Cleanup,
    Topic,
)
from tests.crash.test_kill import gate_process
from tests.gate.bed import QUICK_TAKEOVER, Bed, now_ms, wait_for
from tests.processors.bed import working
from tests.processors.worker_process import log_of, worker_process

pytestmark = pytest.mark.kafka

UPLOADS = 24
FOUND = [a_number(n) for n in range(10, 20)]
HIDDEN = [a_number(n) for n in range(20, 30)]
UPLOADERS = [a_number(n) for n in range(6)]
STRANGERS = [f"212555{n:04d}" for n in range(120)]
REPLYING = [f"+1312555{n:04d}" for n in range(20)]
NAMES = [f"{first}{last}" for first in ("Xanthe", "Quirin") for last in ("wold", "bryn", "zell")]
LATER_MS = 40 * DAY_MS


@dataclass
class Run:
    bed: Bed
    expected: dict[str, tuple[int, int, int, int, int, int]]
    told: dict[str, bytes] = field(default_factory=dict, repr=False)
    """What gate and worker said of themselves, by where."""

    def receipts(self) -> dict[tuple[str, bool], set[bytes]]:
        """The receipts written, by upload and whether of its withdrawal."""
        found: dict[tuple[str, bool], set[bytes]] = {}
        for record in self.bed.read(self.bed.settings.names.of(UPLOADS_COMPLETED)):
            receipt = self.bed.codecs.receipts.decode(record.value())
            assert record.key() == receipt.upload_id.encode()
            found.setdefault((receipt.upload_id, receipt.withdrawn), set()).add(
                record.value() or b""
            )
        return found

    def receipt(self, upload_id: str, *, withdrawn: bool = False) -> UploadCompleted:
        [value] = self.receipts()[upload_id, withdrawn]
        return self.bed.codecs.receipts.decode(value)


def book(index: int) -> tuple[list[UploadedContact], tuple[int, int, int, int, int, int]]:
    """An address book, and its contacts, entries, matched, invalid, duplicates and own number."""
    strangers = STRANGERS[5 * index : 5 * index + 5]
    found, hidden = FOUND[index % 5 : index % 5 + 3], HIDDEN[index % 7 : index % 7 + 2]
    numbers = [
        *(f"({n[:3]}) {n[3:6]}-{n[6:]}" for n in strangers),
        *found,
        *hidden,
        f"+1{strangers[0]}",
        UPLOADERS[index % 6],
        f"ask {NAMES[index % 6]}",
    ]
    contacts = [UploadedContact(n, f"{NAMES[i % 6]} {i}") for i, n in enumerate(numbers)]
    return contacts, (len(numbers), 10, 3, 1, 1, 1)


def upload(run: Run, index: int) -> None:
    contacts, run.expected[f"upload-{index}"] = book(index)
    record = an_upload(
        upload_id=f"upload-{index}",
        uploader=UPLOADERS[index % 6],
        uploaded_at=now_ms(),
        contacts=tuple(contacts),
    )
    write(run.bed, CONTACTS_UPLOADED, record.uploader, run.bed.codecs.uploads.encode(record))


def write(bed: Bed, topic: Topic, number: str, value: bytes) -> None:
    bed.write(bed.settings.names.of(topic), number.encode(), value, bed.partition(number))


def people_join(bed: Bed) -> None:
    for number in (*FOUND, *HIDDEN, *UPLOADERS):
        event = a_consent_event(
            event_id=f"joined-{bed.keyring.subject_ids.of(number).hex()}",
            subject=number,
            kind=ConsentKind.REGISTERED,
            purpose=None,
            source=Source.SELF_SERVICE,
            occurred_at=now_ms(),
        )
        bed.consent(event)
        if number in FOUND:
            bed.consent(
                replace(
                    event,
                    event_id=f"found-{event.event_id}",
                    kind=ConsentKind.GRANTED,
                    purpose=DISCOVERABLE,
                    basis=Basis.EXPRESS,
                )
            )
    bed.flush()


def people_reply(bed: Bed) -> None:
    for index, number in enumerate(REPLYING):
        body = "STOP" if index % 2 else f"who is {NAMES[index % 6]}?"
        reply = an_inbound_sms(
            message_id=f"reply-{index}", sender=number, body=body, received_at=now_ms()
        )
        write(bed, SMS_INBOUND, number, bed.codecs.inbound.encode(reply))
    # What nobody can read has a number in it, too.
    write(bed, CONTACTS_UPLOADED, UPLOADERS[0], f"no Avro {STRANGERS[0]}".encode())
    bed.flush()


@pytest.fixture(scope="module")
def run(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Run:
    bed = Bed(
        kafka.bootstrap_servers,
        f"t{secrets.token_hex(3)}.",
        tmp_path_factory.mktemp("receipts"),
        idle_tick_ms=50,
        **QUICK_TAKEOVER,
        log_level=LogLevel.DEBUG,
    )
    run = Run(bed, {})
    people_join(bed)
    with gate_process(bed, "gate-1") as gate, worker_process(bed, agents="all") as worker:
        for index in range(UPLOADS // 2):
            upload(run, index)
        bed.flush()
        wait_for(run.receipts, 60, "for the first receipt")
        for index in range(UPLOADS // 2, UPLOADS):
            upload(run, index)
        bed.flush()
        worker.kill()
        gate.kill()
    with gate_process(bed, "gate-1") as gate, worker_process(bed, agents="all") as worker:
        people_reply(bed)
        wait_for(lambda: len(run.receipts()) >= UPLOADS, 90, "for all receipts")
        withdrawal = an_upload_withdrawn(
            upload_id="upload-0", uploader=UPLOADERS[0], withdrawn_at=now_ms()
        )
        value = bed.codecs.upload_withdrawals.encode(withdrawal)
        for _ in range(2):  # the user is impatient
            write(bed, CONTACTS_UPLOADED, UPLOADERS[0], value)
        upload(run, 0)  # and the app sends it once more
        bed.flush()
        wait_for(lambda: ("upload-0", True) in run.receipts(), 60, "for its withdrawal")
        wait_for(lambda: len(written(bed, DEAD_LETTERS)) == 1)
        stopped = [
            r
            for r in written(bed, CONSENT_EVENTS)
            if any(n in r for n in map(str.encode, REPLYING))
        ]
        assert stopped
        assert gate.stdout is not None
        run.told["the gate's metrics"] = _answer(_url(gate.stdout.readline()))
        run.told["the worker's metrics"] = _answer(_url(log_of(bed).read_text()))
        for process in (worker, gate):
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    run.told["the gate's log"] = (bed.folder / "gate-1.log").read_bytes()
    run.told["the worker's log"] = log_of(bed).read_bytes()
    run.told["the gate's store"] = b"".join(
        path.read_bytes() for path in (bed.folder / "state").rglob("*") if path.is_file()
    )
    return run


def test_each_upload_has_one_exact_receipt(run: Run) -> None:
    found = run.receipts()
    assert {upload for upload, withdrawn in found if not withdrawn} == run.expected.keys()
    for upload_id, expected in run.expected.items():
        receipt = run.receipt(upload_id)  # written twice or not, it says one thing
        assert expected == (
            receipt.contacts,
            receipt.entries,
            receipt.matched,
            receipt.invalid,
            receipt.duplicates,
            receipt.own_number,
        )
        assert receipt.forgotten == receipt.entries - receipt.matched
        assert receipt.last_trace_at is not None
        kept_ms = run.bed.settings.contact_entry_days * DAY_MS
        assert 0 <= receipt.last_trace_at - receipt.completed_at - kept_ms + DAY_MS <= 9 * DAY_MS


def test_a_withdrawn_upload_has_one_more_and_left_no_trace(run: Run) -> None:
    receipt = run.receipt("upload-0", withdrawn=True)
    assert (receipt.entries, receipt.matched) == (10, 3)
    assert [upload for upload, withdrawn in run.receipts() if withdrawn] == ["upload-0"]
    states = last_values(run.bed, SUBJECTS_STATE)
    for contact, _ in zip(STRANGERS, range(5), strict=False):
        raw = states[run.bed.keyring.subject_ids.of(f"+1{contact}")]
        traces = run.bed.codecs.subject_states.decode(raw).uploads
        assert "upload-0" not in {trace.upload_id for trace in traces}


def test_only_short_lived_inputs_hold_a_number_or_a_name(run: Run) -> None:
    """Guarantee I7, and the promise to those who never heard of the platform."""
    spelt = [f"({n[:3]}) {n[3:6]}-{n[6:]}" for n in STRANGERS]
    where = {
        "strangers": places_of(run, [*STRANGERS, *spelt]),
        "names": places_of(run, NAMES),
        # Less the one SMS that confirms a STOP, which may be under way by now.
        "who replied": places_of(run, [number.removeprefix("+") for number in REPLYING])
        - {SMS_REQUESTED.name, SMS_ALLOWED.name},
    }
    assert where == {
        "strangers": {CONTACTS_UPLOADED.name, DEAD_LETTERS.name},
        "names": {CONTACTS_UPLOADED.name, SMS_INBOUND.name},
        # A STOP is an event of the person's own, under the person's number.
        "who replied": {SMS_INBOUND.name, CONSENT_EVENTS.name},
    }
    inputs = (CONTACTS_UPLOADED, DEAD_LETTERS, SMS_INBOUND, CONSENT_EVENTS, SMS_REQUESTED)
    for topic in (*inputs, SMS_ALLOWED):
        assert topic.plaintext
        assert topic.cleanup is Cleanup.DELETE
        assert (topic.retention_ms or 0) <= 30 * DAY_MS
    assert b'"event": "rebalanced"' in run.told["the gate's log"]
    assert b'"event": "worker_started"' in run.told["the worker's log"]
    assert b"consent_gate_" in run.told["the gate's metrics"]
    assert b"consent_gate_" in run.told["the worker's metrics"]


def test_after_their_retention_no_trace_of_a_stranger_is_left(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty days later, as far as this project forgets; the topics' retention is the broker's."""
    bed = run.bed
    ids = [bed.keyring.subject_ids.of(f"+1{number}") for number in STRANGERS]
    assert set(ids) <= last_values(bed, SUBJECTS_STATE).keys()
    assert any(each in value for value in last_values(bed, WORKER_STATE).values() for each in ids)
    monkeypatch.setattr(
        running_out,
        "without_what_ran_out",
        lambda state, at: without_what_ran_out(state, at + LATER_MS),
    )
    with bed.gate("gate-1") as gate, working(bed, later(uploads), later(receipts)):
        wait_for(
            lambda: not {*ids} & last_values(bed, SUBJECTS_STATE).keys(),
            30,
            "for the gate to forget",
        )
        wait_for(
            lambda: not any(b"/" in key for key in kept_by(bed, "uploads", "receipts")),
            30,
            "for the worker to forget",
        )
        left = {each for number in (0, 1) for each, _ in gate.gate._store.states(number)}
    assert not left & {*ids}
    # Where a hash of theirs has been, and when the broker lets go of it.
    holding = {
        topic.name
        for topic in TOPICS
        if any(each in record for record in written(bed, topic) for each in ids)
    }
    assert holding == {CONTACTS_ENTRIES.name, SUBJECTS_STATE.name, WORKER_STATE.name}
    assert bed.settings.configured(CONTACTS_ENTRIES).retention_ms == 30 * DAY_MS
    for topic in (SUBJECTS_STATE, WORKER_STATE):
        assert topic.cleanup is Cleanup.COMPACT
        assert topic.max_compaction_lag_ms == DAY_MS


def later(make: MakeAgent) -> MakeAgent:
    """The agent as it is LATER_MS from now, its timers running all the time."""

    def made(tools: Tools) -> Agent:
        agent = make(tools)
        assert agent is not None
        [timer] = agent.timers
        return replace(
            agent, timers=[Timer(0.2, lambda now, state: timer.act(now + LATER_MS, state))]
        )

    return made


def written(bed: Bed, topic: Topic) -> list[bytes]:
    """Key and value of every record in a topic."""
    read = bed.read(bed.settings.names.of(topic))
    return [(record.key() or b"") + b" " + (record.value() or b"") for record in read]


def last_values(bed: Bed, topic: Topic) -> dict[bytes, bytes]:
    """What a compacted topic holds once it is compacted."""
    found: dict[bytes, bytes | None] = {}
    for record in bed.read(bed.settings.names.of(topic)):
        if record.key() != POSITION_KEY:
            found[record.key() or b""] = record.value()
    return {key: value for key, value in found.items() if value is not None}


def kept_by(bed: Bed, *agents: str) -> list[bytes]:
    """The keys of what these agents keep."""
    ours = tuple(key_of(agent, "") for agent in agents)
    return [key for key in last_values(bed, WORKER_STATE) if key.startswith(ours)]


def places_of(run: Run, texts: list[str]) -> set[str]:
    """Where one of these can be read: topics by name, files, what is told."""
    needles = [text.encode() for text in texts]
    places: Mapping[str, bytes] = {
        **run.told,
        **{topic.name: b"\n".join(written(run.bed, topic)) for topic in TOPICS},
    }
    return {place for place, all_of_it in places.items() if any(n in all_of_it for n in needles)}


def _url(text: str) -> str:
    """The address of ``/metrics`` that a process tells at its start; the last one counts."""
    return next(word for word in reversed(text.split()) if "http://" in word).removeprefix("url=")


def _answer(url: str) -> bytes:
    url = url if url.endswith("/metrics") else f"{url.rstrip(',/').removesuffix('/readyz')}/metrics"
    with urllib.request.urlopen(url, timeout=60) as answer:
        return bytes(answer.read())
