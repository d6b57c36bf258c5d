"""Our decoder reads what fastavro reads, or is in doubt, on any bytes of any record."""

from io import BytesIO

import pytest
from fastavro import schemaless_reader, schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.codec import schemas
from streams.codec.codec import RECORDS
from streams.codec.decoder import decoder_of
from streams.codec.encoder import encoder_of
from streams.codec.plain import builder_of
from streams.records.subject import SubjectState
from streams.testing.records import a_subject_state
from tests.codec.arbitrary import plain_values, records

DECODERS = {record: decoder_of(schemas.current(record).parsed, record) for record in RECORDS}
BUILDERS = {record: builder_of(record) for record in RECORDS}


def read_by_fastavro(record, body):
    """What the schema-driven way makes of these bytes; raises whatever it raises."""
    source = BytesIO(body)
    plain = schemaless_reader(source, schemas.current(record).parsed, None)
    assert source.tell() == len(body), "bytes follow the end"
    return BUILDERS[record](plain)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@settings(deadline=None)
@given(data=st.data())
def test_every_record_is_read_without_a_doubt_and_as_fastavro_reads_it(record, data):
    schema = schemas.current(record).parsed
    written = BytesIO()
    schemaless_writer(written, schema, data.draw(plain_values(schema)))
    body = written.getvalue()
    try:
        read = DECODERS[record](b"header" + body, 6)
    except Exception:
        # Only a number of ten bytes may be left to fastavro.
        assert any(abs(number) >= 2**62 for number in numbers(read_by_fastavro(record, body)))
        return
    assert read == read_by_fastavro(record, body)
    assert type(read) is record
    assert encoder_of(schema)(read) == body


def numbers(value):
    """Every number anywhere in a record."""
    if isinstance(value, int):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from numbers(each)
    elif isinstance(value, tuple):
        for each in value:
            yield from numbers(each)
    elif hasattr(value, "__slots__") and not isinstance(value, str | bytes):
        for name in value.__slots__:
            yield from numbers(getattr(value, name))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@settings(deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_read_as_fastavro_reads_them_or_not_at_all(record, data):
    body = bytearray(encoder_of(schemas.current(record).parsed)(data.draw(records(record))))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    for hostile in (
        bytes(body),
        bytes(body[: data.draw(st.integers(0, len(body)))]),
        bytes(body) + b"\x00",
    ):
        try:
            read = DECODERS[record](hostile, 0)
        except Exception:
            continue
        assert read == read_by_fastavro(record, hostile)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@given(body=st.binary(max_size=120))
def test_any_bytes_are_read_as_fastavro_reads_them_or_not_at_all(record, body):
    try:
        read = DECODERS[record](body, 0)
    except Exception:
        return
    assert read == read_by_fastavro(record, body)


def test_what_is_read_is_frozen_like_any_record():
    state = a_subject_state()
    read = DECODERS[SubjectState](encoder_of(schemas.current(SubjectState).parsed)(state), 0)
    assert read == state
    assert hash(read) == hash(state)
    with pytest.raises(AttributeError):
        read.placed = not read.placed


def test_a_schema_with_other_fields_than_its_record_is_refused():
    schema = schemas.current(SubjectState).parsed
    fewer = {**schema, "fields": schema["fields"][1:]}
    with pytest.raises(NotImplementedError):
        decoder_of(fewer, SubjectState)
