"""Every record comes back as it went, in both framings; nothing else comes back at all."""

import dataclasses
import traceback

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.codec import framing, schemas
from streams.codec.codec import RECORDS, RecordCodec, open_codecs, subject_of
from streams.codec.framing import RegistryId
from streams.errors import Undecodable
from streams.records.requests import SmsRequested
from streams.records.subject import Position, SubjectState
from streams.testing.records import (
    a_campaign,
    a_consent_event,
    a_contact_entry,
    a_ledger_record,
    a_name_consent,
    a_policy_archived,
    a_position,
    a_quarantined_sms,
    a_subject_key,
    a_subject_state,
    a_withdrawal,
    an_sms_decision,
    an_sms_requested,
)
from streams.topology import TopicNames
from tests.codec.arbitrary import records

CODECS = open_codecs()
BY_RECORD = {
    record: getattr(CODECS, field.name)
    for record, field in zip(RECORDS, dataclasses.fields(CODECS), strict=True)
}
ORDINARY = [
    an_sms_requested(),
    a_consent_event(),
    a_withdrawal(),
    a_contact_entry(),
    a_name_consent(),
    a_campaign(),
    a_subject_state(),
    a_subject_key(),
    a_position(),
    an_sms_decision(),
    a_quarantined_sms(),
    a_ledger_record(),
    a_policy_archived(),
]

REQUESTS = CODECS.requests
RAW = REQUESTS.encode(an_sms_requested(template_params={"code": "4711"}, region="US-TX"))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@settings(deadline=None)
@given(data=st.data())
def test_every_record_comes_back_as_it_went(record, data):
    codec = BY_RECORD[record]
    value = data.draw(records(record))

    assert codec.decode(codec.encode(value)) == value
    assert codec.decode_body(codec.encode_body(value)) == value


@pytest.mark.parametrize("value", ORDINARY, ids=lambda value: type(value).__name__)
def test_builders_build_what_the_codec_takes(value):
    codec = BY_RECORD[type(value)]

    assert codec.decode(codec.encode(value)) == value


def test_a_registry_frame_is_written_and_both_frames_are_read():
    schema = schemas.current(SmsRequested)
    with_registry = RecordCodec(SmsRequested, schema, [], RegistryId(7))
    request = an_sms_requested()

    assert with_registry.encode(request)[:5] == b"\0\0\0\0\x07"
    assert with_registry.decode(with_registry.encode(request)) == request
    assert with_registry.decode(REQUESTS.encode(request)) == request


def test_body_and_frame_are_the_two_parts_of_a_value():
    body = REQUESTS.encode_body(an_sms_requested())

    assert REQUESTS.frame(body) == REQUESTS.encode(an_sms_requested())
    assert REQUESTS.body_of(REQUESTS.frame(body)) == body


@pytest.mark.parametrize("raw", [None, b"", b"\xc3\x01short", b"no frame at all"])
def test_what_has_no_frame_has_no_body(raw):
    for read in (REQUESTS.decode, REQUESTS.body_of):
        with pytest.raises(Undecodable):
            read(raw)


def test_another_kind_of_record_is_undecodable():
    with pytest.raises(Undecodable, match="not a SmsRequested: no known schema has the finger"):
        REQUESTS.decode(CODECS.consent_events.encode(a_consent_event()))


def test_a_registry_id_without_a_registry_says_what_is_missing():
    raw = framing.frame(REQUESTS.encode_body(an_sms_requested()), RegistryId(7))

    with pytest.raises(Undecodable, match="none is configured"):
        REQUESTS.decode(raw)


@pytest.mark.parametrize("length", range(len(RAW)))
def test_a_record_cut_short_anywhere_is_undecodable(length):
    with pytest.raises(Undecodable):
        REQUESTS.decode(RAW[:length])


@settings(deadline=None)
@given(tail=st.binary(min_size=1, max_size=20))
def test_bytes_after_the_record_are_undecodable(tail):
    with pytest.raises(Undecodable, match="bytes follow"):
        REQUESTS.decode(RAW + tail)


def huge(length):
    """A string's length as Avro writes it, then three bytes of it."""
    rest = length << 1
    encoded = bytearray()
    while rest > 0x7F:
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes(encoded) + bytes([rest]) + b"abc"


@pytest.mark.timeout(5)
@pytest.mark.parametrize("length", [2**31, 2**40, 2**62])
def test_an_absurd_length_allocates_nothing(length):
    with pytest.raises(Undecodable):
        REQUESTS.decode(REQUESTS.frame(huge(length)))


@pytest.mark.timeout(5)
def test_an_absurd_count_allocates_nothing():
    upto_map = REQUESTS.encode_body(an_sms_requested(template_params={}, body=""))
    at = upto_map.index(b"\x00\x00\x00\x00")  # template_id null, no parameters, empty body, …
    with pytest.raises(Undecodable):
        REQUESTS.decode(REQUESTS.frame(upto_map[: at + 1] + huge(2**60)))


def test_text_that_is_not_utf8_is_undecodable():
    with pytest.raises(Undecodable, match="UnicodeDecodeError"):
        REQUESTS.decode(RAW.replace(b"Spring", b"\xff\xfe\xff\xfe\xff\xfe"))


@pytest.mark.parametrize("codec", BY_RECORD.values(), ids=lambda codec: codec.schema.short_name)
@settings(deadline=None)
@given(body=st.binary(max_size=300))
@example(body=b"\x01" * 40)
@example(body=b"\xff" * 40)
@example(body=b"\x80" * 40)
def test_any_bytes_give_a_record_or_undecodable(codec, body):
    for raw in (body, codec.frame(body), b"\0" + body):
        try:
            assert isinstance(codec.decode(raw), codec._record)
        except Undecodable:
            pass


@settings(deadline=None)
@given(at=st.integers(0, len(RAW) - 1), flipped=st.integers(1, 255))
def test_a_flipped_byte_gives_a_record_or_undecodable(at, flipped):
    changed = bytearray(RAW)
    changed[at] ^= flipped
    try:
        assert isinstance(REQUESTS.decode(bytes(changed)), SmsRequested)
    except Undecodable:
        pass


@settings(deadline=None)
@given(cut=st.integers(11, len(RAW) - 1))
def test_an_error_shows_nothing_of_the_value(cut):
    with pytest.raises(Undecodable) as caught:
        REQUESTS.decode(RAW[:cut].replace(b"Spring", b"\xff\xfe\xff\xfe\xff\xfe"))

    shown = "".join(traceback.format_exception_only(caught.value)) + repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    for secret in ("+1202", "555", "Spring", "sale", "xff", "4711"):
        assert secret not in shown


def test_a_topic_of_one_record_has_one_subject_and_a_shared_one_has_two():
    names = TopicNames(prefix="acme.")

    assert subject_of(SmsRequested, names) == "acme.sms.requested-value"
    assert subject_of(SubjectState, names) == "acme.subjects.state-consentgate.SubjectState"
    assert subject_of(Position, names) == "acme.subjects.state-consentgate.Position"
