"""Asking a reassigned-numbers service: what it answers, and what is no answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from streams.errors import LookupUnavailable
from streams.processors.reassigned_numbers import Reassigned, ReassignedNumbers
from streams.testing.reassigned_numbers import FakeReassignedNumbers, fake_reassigned_numbers
from streams.testing.records import NOON, a_number

NUMBER = a_number(7)


@pytest.fixture
def fake() -> Iterator[FakeReassignedNumbers]:
    with fake_reassigned_numbers() as serving:
        yield serving


def service(url: str, token: str | None = None, **changes: Any) -> ReassignedNumbers:
    values: dict[str, Any] = {"timeout_seconds": 5.0, "per_second": 1_000, **changes}
    return ReassignedNumbers(url, token, **values)


@pytest.mark.parametrize("answer", Reassigned)
def test_each_answer_is_read(fake: FakeReassignedNumbers, answer: Reassigned) -> None:
    fake.answers[NUMBER] = answer.value
    assert service(fake.url, "secret").ask(NUMBER, NOON) is answer
    assert fake.asked == [(NUMBER, "2026-01-01")]
    assert fake.tokens == ["Bearer secret"]


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_number_that_cannot_be_asked_for_has_no_data(
    fake: FakeReassignedNumbers, status: int
) -> None:
    fake.status = status
    assert service(fake.url).ask(NUMBER, NOON) is Reassigned.NO_DATA


def refused(asking: ReassignedNumbers) -> str:
    with pytest.raises(LookupUnavailable) as caught:
        asking.ask(NUMBER, NOON)
    said = repr(caught.value) + repr(caught.value.__context__)
    assert NUMBER not in said
    return said


@pytest.mark.parametrize("status", [301, 401, 403, 429, 500, 503])
def test_any_other_status_is_no_answer_and_leads_nowhere_else(
    fake: FakeReassignedNumbers, status: int
) -> None:
    fake.status = status
    assert f"status {status}" in refused(service(fake.url))
    assert len(fake.asked) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"+12025550107", b"[]", b"{}", b'{"reassigned": "perhaps"}', b"\xff", b"{" * 99_999],
)
def test_what_is_none_of_the_answers_is_no_answer(fake: FakeReassignedNumbers, body: bytes) -> None:
    fake.body = body
    assert "none of those" in refused(service(fake.url))


def test_silence_and_a_closed_door_are_no_answers(fake: FakeReassignedNumbers) -> None:
    fake.silent.set()
    refused(service(fake.url, timeout_seconds=0.1))
    refused(service("http://127.0.0.1:1/ask"))


def test_it_is_not_asked_faster_than_it_may_be(fake: FakeReassignedNumbers) -> None:
    asking = service(fake.url, per_second=20)
    began = time.monotonic()
    for _ in range(4):
        asking.ask(NUMBER, NOON)
    assert time.monotonic() - began >= 3 / 20
