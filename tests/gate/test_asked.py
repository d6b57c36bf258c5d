"""A question to leaders that answer, refuse, or say nothing at all. Pure: no Kafka."""

from __future__ import annotations

import time
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.gate import barrier
from streams.gate.barrier import Asked, Barrier, Targets
from streams.state.log_reader import At

SPEAKS, REFUSES, IS_SILENT = (At("consent.events", number) for number in range(3))


def answers() -> dict[At, Future[object]]:
    found: dict[At, Future[object]] = {at: Future[object]() for at in (IS_SILENT, SPEAKS, REFUSES)}
    found[SPEAKS].set_result(SimpleNamespace(offset=7))
    found[REFUSES].set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
    return found


class Leaders:
    """Stands in for an ``AdminClient``."""

    def list_offsets(self, asked: dict[TopicPartition, object], **_: Any) -> dict[Any, Any]:
        found = answers()
        return {tp: found[At(tp.topic, tp.partition)] for tp in asked}


def test_who_says_nothing_is_unreachable_once_the_time_is_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(barrier, "LATE_SECONDS", 0.1)
    began = time.monotonic()

    targets = Barrier(Leaders(), timeout_seconds=0.1).read(  # type: ignore[arg-type]
        [IS_SILENT, SPEAKS, REFUSES]
    )

    assert targets == Targets({SPEAKS: 7}, {IS_SILENT, REFUSES})
    assert time.monotonic() - began >= 0.2


def test_a_question_is_over_when_all_have_answered_or_the_time_is_up() -> None:
    found = answers()
    question = Asked(found, 60)
    assert not question.over
    found[IS_SILENT].set_result(SimpleNamespace(offset=-1))  # librdkafka's: no such offset
    assert question.over
    question.wait()
    assert question.offsets() == {IS_SILENT: None, SPEAKS: 7, REFUSES: None}

    assert Asked(answers(), 0).over
    assert Asked({}, 60).over


def test_nothing_is_known_of_a_partition_that_was_not_asked_for() -> None:
    assert Asked(answers(), 60).offset(At("consent.events", 9)) is None
