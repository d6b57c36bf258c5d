"""Our encoder writes what fastavro writes."""

from io import BytesIO

import pytest
from fastavro import schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.codec import schemas
from streams.codec.codec import RECORDS
from streams.codec.encoder import encoder_of
from streams.codec.plain import builder_of
from streams.testing.records import an_sms_decision
from tests.codec.arbitrary import plain_values


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@settings(deadline=None)
@given(data=st.data())
def test_bytes_are_fastavros(record, data):
    schema = schemas.current(record).parsed
    plain = data.draw(plain_values(schema))
    reference = BytesIO()
    schemaless_writer(reference, schema, plain)

    assert encoder_of(schema)(builder_of(record)(plain)) == reference.getvalue()


@pytest.mark.parametrize("length", [31, 32, 63, 64, 4095, 4096, 8191, 8192, 8193, 100_000])
def test_lengths_on_both_sides_of_each_step(length):
    schema = {
        "type": "record",
        "name": "R",
        "fields": [{"name": "request_id", "type": "string"}, {"name": "previous", "type": "bytes"}],
    }
    record = an_sms_decision(request_id="é" * length, previous=b"x" * length)
    reference = BytesIO()
    schemaless_writer(
        reference, schema, {"request_id": record.request_id, "previous": record.previous}
    )

    assert encoder_of(schema)(record) == reference.getvalue()


@pytest.mark.parametrize("bits", range(64))
def test_numbers_on_both_sides_of_each_power_of_two(bits):
    schema = {
        "type": "record",
        "name": "R",
        "fields": [{"name": "sequence", "type": "long"}, {"name": "attempt", "type": "long"}],
    }
    for number in (2**bits - 1, -(2**bits)):
        reference = BytesIO()
        schemaless_writer(reference, schema, {"sequence": number, "attempt": number // 2})
        record = an_sms_decision(sequence=number, attempt=number // 2)
        assert encoder_of(schema)(record) == reference.getvalue()


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_a_number_that_no_long_holds_is_refused(number):
    encode = encoder_of(schemas.current(type(an_sms_decision())).parsed)

    with pytest.raises(OverflowError):
        encode(an_sms_decision(sequence=number))
