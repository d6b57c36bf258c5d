"""A line of a list, as a consent event."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.codec.codec import open_codecs
from streams.importing.columns import Column, ListKind, columns_of, layout_of
from streams.importing.reading import (
    LONGEST_EVIDENCE,
    LONGEST_NAME,
    Defaults,
    Fault,
    LineReading,
    as_basis,
    as_millis,
)
from streams.kafka.bounds import EVENT_MAX_BYTES, refuse_long
from streams.records.e164 import is_e164
from streams.records.events import Basis, ConsentEvent, ConsentEvidence, ConsentKind, Scope, Source
from streams.sealing.subject_ids import SubjectIds
from streams.testing.records import NOON, a_number

IDS = SubjectIds(bytes(32))
DAY_MS = 86_400_000


def read(
    kind: ListKind = ListKind.CONSENTS, defaults: Defaults | None = None, **values: str
) -> ConsentEvent | Fault:
    """Read a line of these columns; `subject`, `purpose` and `occurred_at` if not given."""
    said = {"subject": a_number(1), "purpose": "newsletter", "occurred_at": "2024-05-31"}
    said = {name: value for name, value in (said | values).items() if value != "-"}
    layout = layout_of(list(said), kind, {})
    reading = LineReading(kind, layout, defaults or Defaults(), subject_id=IDS.of, now_ms=NOON)
    return reading.read(list(said.values()))


def event(*args: ListKind, defaults: Defaults | None = None, **values: str) -> ConsentEvent:
    got = read(*args, defaults=defaults, **values)
    assert isinstance(got, ConsentEvent), got
    return got


def test_a_consent_says_all_that_its_line_says() -> None:
    got = event(
        subject="(202) 555-0101",
        dialled_from="us",
        expires_at="2030-01-01T00:00:00+01:00",
        basis="Soft opt-in",
        conditional="yes",
        sender_id="ACME",
        campaign_id="spring",
        region="US-TX",
        time_zone="America/Chicago",
        notice_version="3",
        channel="shop",
    )
    assert got == ConsentEvent(
        event_id=got.event_id,
        subject=a_number(1),
        kind=ConsentKind.GRANTED,
        occurred_at=1_717_113_600_000,
        source=Source.BULK_IMPORT,
        purpose="newsletter",
        basis=Basis.SOFT_OPT_IN,
        conditional=True,
        scope=Scope("ACME", "spring"),
        expires_at=1_893_452_400_000,
        evidence=ConsentEvidence("3", None, "shop", None),
        time_zone="America/Chicago",
        region="US-TX",
    )


def test_who_does_not_say_on_what_it_rests_has_not_said_that_it_is_express() -> None:
    assert event().basis is Basis.IMPLIED
    assert event(defaults=Defaults(basis=Basis.EXPRESS)).basis is Basis.EXPRESS


def test_a_suppression_is_for_everything_unless_it_names_a_purpose() -> None:
    everything = event(ListKind.SUPPRESSIONS, purpose="", occurred_at="")
    assert (everything.kind, everything.purpose) == (ConsentKind.WITHDRAWN, None)
    assert everything.source is Source.BULK_IMPORT
    assert event(ListKind.SUPPRESSIONS).purpose == "newsletter"
    defaults = Defaults(purpose="marketing", occurred_at=NOON)
    narrow = event(ListKind.SUPPRESSIONS, defaults=defaults, purpose="", occurred_at="")
    assert (narrow.purpose, narrow.occurred_at) == ("marketing", NOON)


@pytest.mark.parametrize("date", ["never", "1900-01-01", "31.05.2024"])
def test_no_date_keeps_a_suppression_from_counting(date: str) -> None:
    got = event(ListKind.SUPPRESSIONS, defaults=Defaults(occurred_at=NOON), occurred_at=date)
    assert got.occurred_at == NOON


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"subject": ""}, Fault.NO_NUMBER),
        ({"subject": "2025550123"}, Fault.NO_NUMBER),
        ({"subject": "12025550123"}, Fault.NO_NUMBER),
        ({"subject": "+12025550123 ext. 4"}, Fault.NO_NUMBER),
        ({"subject": "8.61380013E+12", "dialled_from": "CN"}, Fault.NO_NUMBER),
        ({"subject": "+861380013800O"}, Fault.NO_NUMBER),
        ({"subject": "+12025550123/+12025550124"}, Fault.NO_NUMBER),
        ({"subject": "9" * 10_000}, Fault.NO_NUMBER),
        ({"purpose": " "}, Fault.NO_PURPOSE),
        ({"purpose": "x" * (LONGEST_NAME + 1)}, Fault.TEXT),
        ({"purpose": "news\x00letter"}, Fault.TEXT),
        ({"purpose": "news\udcff"}, Fault.TEXT),
        ({"sender_id": "A\nB"}, Fault.TEXT),
        ({"reference": "x" * (LONGEST_EVIDENCE + 1)}, Fault.TEXT),
        ({"occurred_at": ""}, Fault.NO_DATE),
        ({"occurred_at": "-"}, Fault.NO_DATE),
        ({"occurred_at": "05/31/2024"}, Fault.DATE),
        ({"occurred_at": "1900-01-00"}, Fault.DATE),
        ({"occurred_at": "1970-01-01"}, Fault.DATE),
        ({"occurred_at": "2199-01-01"}, Fault.FUTURE),
        ({"expires_at": "never"}, Fault.EXPIRY),
        ({"expires_at": "2024-05-31"}, Fault.EXPIRY),
        ({"basis": "legitimate interest"}, Fault.BASIS),
        ({"conditional": "perhaps"}, Fault.CONDITIONAL),
        ({"region": "Texas"}, Fault.REGION),
        ({"time_zone": "UTC+1 (Berlin)"}, Fault.TIME_ZONE),
    ],
)
def test_what_is_in_doubt_is_no_consent(values: dict[str, str], fault: Fault) -> None:
    assert read(**values) is fault


@pytest.mark.parametrize("written", ["9" * 10_000, "", "+12025550123 ext. 4", "8.6138E+12"])
def test_a_suppression_of_nobody_is_refused(written: str) -> None:
    assert read(ListKind.SUPPRESSIONS, subject=written) is Fault.NO_NUMBER


def test_the_same_content_is_the_same_event_and_any_other_is_another() -> None:
    one = event(basis="express")
    assert event(basis="EXPRESS", subject="+1 202-555-0101", name="Li") == one
    others = [
        event(),
        event(basis="express", subject=a_number(2)),
        event(basis="express", purpose="invite"),
        event(basis="express", occurred_at="2024-06-01"),
        event(basis="express", sender_id="ACME"),
        event(basis="express", reference="sheet 4"),
        event(ListKind.SUPPRESSIONS),
    ]
    assert len({each.event_id for each in (one, *others)}) == len(others) + 1


def test_an_event_id_tells_only_who_has_the_key() -> None:
    layout = layout_of(["subject"], ListKind.SUPPRESSIONS, {})
    ids = set()
    for key in (bytes(32), b"\x01" * 32):
        reading = LineReading(
            ListKind.SUPPRESSIONS, layout, Defaults(), subject_id=SubjectIds(key).of, now_ms=NOON
        )
        got = reading.read([a_number(1)])
        assert isinstance(got, ConsentEvent)
        ids.add(got.event_id)
    assert len(ids) == 2


def test_the_longest_event_can_be_read_by_the_gate() -> None:
    """One that the gate cannot read would hold its subject."""
    name, proof = "\U0001f600" * LONGEST_NAME, "\U0001f600" * LONGEST_EVIDENCE
    got = event(
        purpose=name,
        sender_id=name,
        campaign_id=name,
        notice_version=proof,
        document_sha256=proof,
        channel=proof,
        reference=proof,
    )
    refuse_long(got.event_id, got.purpose, got.scope.sender_id, got.scope.campaign_id)
    assert len(open_codecs().consent_events.encode(got)) < EVENT_MAX_BYTES


def test_a_date_as_the_file_writes_it() -> None:
    defaults = Defaults(date_format="%d.%m.%Y")
    assert event(defaults=defaults, occurred_at="31.05.2024") == event()
    assert read(defaults=defaults, occurred_at="2024-05-31") is Fault.DATE


@pytest.mark.parametrize(
    ("written", "at_ms"),
    [
        ("2024-05-31", 1_717_113_600_000),
        ("2024-05-31 14:30", 1_717_165_800_000),
        ("2024-05-31T14:30:00Z", 1_717_165_800_000),
        ("2024-05-31T14:30:00.5+02:00", 1_717_158_600_500),
        ("1717165800", 1_717_165_800_000),
        ("1717165800123", 1_717_165_800_123),
        ("17171658", None),
        ("0", None),
        ("", None),
    ],
)
def test_times(written: str, at_ms: int | None) -> None:
    assert as_millis(written) == at_ms


def test_bases() -> None:
    assert as_basis(" soft-opt-in ") is Basis.SOFT_OPT_IN
    assert as_basis("") is None


@given(
    st.sampled_from(ListKind),
    st.dictionaries(st.sampled_from(Column), st.text(max_size=30)),
)
def test_any_line_is_an_event_or_a_fault(kind: ListKind, values: dict[Column, str]) -> None:
    got = read(kind, **{column.value: text for column, text in values.items()})
    if isinstance(got, ConsentEvent):
        assert is_e164(got.subject)
        open_codecs_encode(got)


CODECS = open_codecs()


def open_codecs_encode(got: ConsentEvent) -> None:
    assert CODECS.consent_events.decode(CODECS.consent_events.encode(got)) == got


def test_every_column_is_of_one_kind_at_least() -> None:
    assert set(columns_of(ListKind.CONSENTS)) == set(Column)
