"""The recogniser gives what the codec gives, on any bytes, seen before or not (Hypothesis)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.codec import recogniser
from streams.codec.codec import RecordCodec, open_codecs
from streams.codec.recogniser import Recogniser
from streams.errors import ConsentGateError, Undecodable
from streams.records.requests import SmsRequested
from streams.testing.records import NOON, an_sms_requested

CODEC: RecordCodec[SmsRequested] = open_codecs().requests

requests = st.builds(
    an_sms_requested,
    request_id=st.text(max_size=80),
    recipient=st.text(max_size=20),
    requested_at=st.integers(-(2**62), 2**62),
    valid_until=st.none() | st.integers(-(2**62), 2**62),
    purpose=st.sampled_from(("otp", "invite")),
    template_id=st.none() | st.just("t"),
    template_params=st.dictionaries(st.text(max_size=70), st.text(max_size=70), max_size=2),
    body=st.text(max_size=150),
)


def content(request: SmsRequested) -> tuple[object, bool]:
    return (request.purpose, request.template_id, request.region), True


def outcome(raw: bytes | None, reader: Recogniser[object]) -> object:
    try:
        return tuple(reader.read(raw))
    except ConsentGateError as error:
        return type(error)


def plain(raw: bytes | None) -> object:
    try:
        request = CODEC.decode(raw)
    except ConsentGateError as error:
        return type(error)
    return (
        request.request_id,
        request.recipient,
        request.valid_until,
        request.template_params,
        request.body,
        content(request)[0],
    )


@settings(deadline=None)
@given(st.lists(requests, max_size=8), st.data())
def test_it_reads_what_the_codec_reads(seen: list[SmsRequested], data: st.DataObject) -> None:
    reader = Recogniser(CODEC, content)
    for request in seen:
        raw = CODEC.encode(request)
        assert outcome(raw, reader) == plain(raw)
        damaged = bytearray(raw)
        for _ in range(data.draw(st.integers(0, 3))):
            damaged[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        cut = bytes(damaged[: data.draw(st.integers(0, len(raw)))])
        for hostile in (bytes(damaged), cut, cut + b"\x00", cut + raw):
            assert outcome(hostile, reader) == plain(hostile)


@given(st.none() | st.binary(max_size=60))
def test_it_reads_any_bytes_as_the_codec_does(raw: bytes | None) -> None:
    reader = Recogniser(CODEC, content)
    reader.read(CODEC.encode(an_sms_requested()))
    framed = None if raw is None else CODEC.frame(raw)
    for each in (raw, framed):
        assert outcome(each, reader) == plain(each)


def test_a_frame_is_read_once_whatever_the_body_and_the_parameters_are() -> None:
    read: list[SmsRequested] = []

    def keep(request: SmsRequested) -> tuple[str, bool]:
        read.append(request)
        return request.purpose, True

    reader = Recogniser(CODEC, keep)
    for number in range(5):
        request = an_sms_requested(
            request_id=f"r{number}",
            requested_at=NOON + number,
            template_params={"name": "n" * number, "more": "é" * 40 * number},
            body="Hello " + "é" * 40 * number,
        )
        assert reader.read(CODEC.encode(request))[0] == f"r{number}"
    assert len(read) == 1


@pytest.mark.parametrize(
    "spoilt",
    [
        {"body": b"Hello \xff"},
        {"name": b"\xff"},
        {"body": b"Hello there", "said": 200},
    ],
)
def test_a_spoilt_body_or_parameter_in_a_known_frame_is_still_undecodable(spoilt) -> None:  # type: ignore[no-untyped-def]
    request = an_sms_requested(template_params={"k": "N"}, body="Hello there")
    raw = CODEC.encode(request)
    reader = Recogniser(CODEC, content)
    reader.read(raw)
    if "name" in spoilt:
        raw = raw.replace(b"\x02k\x02N", b"\x02k\x02" + spoilt["name"])
    else:
        body = spoilt["body"]
        said = spoilt.get("said", len(body))
        size = bytes([said << 1]) if said < 64 else bytes([(said << 1) & 0x7F | 0x80, said >> 6])
        raw = raw.replace(b"\x16Hello there", size + body)
    with pytest.raises(Undecodable):
        reader.read(raw)


def test_what_does_not_repeat_is_read_each_time() -> None:
    read: list[str] = []

    def keep(request: SmsRequested) -> tuple[str, bool]:
        read.append(request.recipient)
        return request.recipient, False

    reader = Recogniser(CODEC, keep)
    for number in ("+12025550101", "+12025550102"):
        assert reader.read(CODEC.encode(an_sms_requested(recipient=number)))[-1] == number
    assert read == ["+12025550101", "+12025550102"]


def test_what_is_kept_is_bounded(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(recogniser, "MOST_FRAMES", 3)
    monkeypatch.setattr(recogniser, "LONGEST_FRAME", 500)
    reader = Recogniser(CODEC, content)
    for number in range(10):
        reader.read(CODEC.encode(an_sms_requested(sender_id=f"sender {number}")))
        assert len(reader._frames) <= 3
    before = len(reader._frames)
    reader.read(CODEC.encode(an_sms_requested(region="x" * 600)))
    assert len(reader._frames) == before
