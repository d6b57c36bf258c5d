"""What is hashed and signed: the same bytes whether a record was just written or read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.audit.chain import body_hash, unsigned, with_signature
from streams.errors import ProofBroken

BODIES = st.binary(max_size=300).map(lambda front: front + b"\x00")
SIGNATURES = st.binary(min_size=64, max_size=64)


@given(BODIES, SIGNATURES)
def test_a_signature_is_taken_out_as_it_was_put_in(body: bytes, signature: bytes) -> None:
    signed = with_signature(body, signature)

    assert unsigned(signed, signature) == body
    assert unsigned(body, None) == body
    assert body_hash(unsigned(signed, signature)) == body_hash(body)


@given(BODIES, st.binary(min_size=63, max_size=63))
def test_a_signature_that_ends_with_a_zero_is_not_taken_for_none(body: bytes, most: bytes) -> None:
    signature = most + b"\x00"

    assert unsigned(with_signature(body, signature), signature) == body


@given(BODIES, SIGNATURES, st.integers(1, 67), st.integers(1, 255))
def test_a_body_that_does_not_end_with_its_signature_is_refused(
    body: bytes, signature: bytes, back: int, flip: int
) -> None:
    signed = bytearray(with_signature(body, signature))
    signed[-back] ^= flip

    with pytest.raises(ProofBroken):
        unsigned(bytes(signed), signature)


def test_only_whole_signatures_are_put_in_place_of_a_null_one() -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        with_signature(b"\x00", bytes(63))
    with pytest.raises(ValueError, match="null signature"):
        with_signature(b"\x02", bytes(64))
    with pytest.raises(ProofBroken):
        unsigned(b"\x00\x02\x02\x00", b"\x00")
