"""From a consent that waits to the person's answer or its end: worker and gate on a real Kafka."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from streams.broker.cluster import EmbeddedKafka
from streams.gate import gate as gate_module
from streams.policy.asking import QuestionOutcome
from streams.processors import questions as questions_module
from streams.processors import rereading
from streams.processors import runtime as runtime_module
from streams.processors.questions import questions
from streams.processors.replies import replies
from streams.processors.rereading import reread
from streams.records.decisions import Outcome, SmsDecision
from streams.records.events import Source
from streams.telemetry import metrics
from streams.testing.records import a_consent_event, a_number, an_inbound_sms
from streams.topology import CONSENT_EVENTS, SMS_INBOUND
from tests.gate.asking import Asking
from tests.gate.bed import PATIENCE, Bed, now_ms
from tests.processors import killed_after_asking
from tests.processors.bed import RunningWorker, policy_wanting_confirmations, working
from tests.processors.worker_process import worker_process

pytestmark = pytest.mark.kafka

HOUR = 3_600_000
DAY = 24 * HOUR
ANSWERS, CLICKS, IS_SILENT, IS_LATE = (a_number(n) for n in (10, 11, 12, 13))


class Clock:
    """The module ``time``, whose clock can be put forward."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def time(self) -> float:
        return time.time() + self.ahead_ms / 1000

    def __getattr__(self, name: str) -> object:
        return getattr(time, name)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of gate and worker; Kafka has its own."""
    clock = Clock()
    for module in (gate_module, runtime_module, questions_module):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(questions_module, "LOOK_SECONDS", 0.2)
    return clock


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    """An installation whose policy wants consents confirmed, and whose worker asks."""
    return Bed(
        kafka.bootstrap_servers,
        topic_prefix,
        tmp_path,
        session_timeout_ms=6_000,
        policy_dir=policy_wanting_confirmations(tmp_path),
        confirm_sender_id="acme",
    )


def gives(bed: Bed, number: str, occurred_at: int | None = None) -> None:
    """Consent to advertising in a form, whose event has the number's last digits as its id."""
    bed.consent(
        a_consent_event(event_id=number[-2:], subject=number, occurred_at=occurred_at or now_ms())
    )
    bed.flush()


def says_yes(bed: Bed, number: str) -> None:
    said = an_inbound_sms(
        message_id=f"m-{number[-2:]}",
        sender=number,
        body="Yes please",
        received_at=now_ms(),
        recipient="36111",
    )
    topic = bed.settings.names.of(SMS_INBOUND)
    bed.write(topic, number.encode(), bed.codecs.inbound.encode(said), bed.partition(number))
    bed.flush()


def outcomes(worker: RunningWorker) -> dict[str, float]:
    counts = worker.telemetry.values(metrics.WORKER_CONFIRMATIONS)
    return {outcome: count for (outcome,), count in counts.items() if count}


def questions_decided(bed: Bed) -> dict[str, SmsDecision]:
    return {each.request_id: each for each in bed.decisions() if each.purpose == "confirmation"}


def test_who_consents_is_asked_and_reminded_and_written_to_once_they_answer(
    bed: Bed, clock: Clock
) -> None:
    with bed.ready_gate() as gate, working(bed, questions, replies) as worker:
        asking = Asking(bed, gate)

        def advert(number: str) -> SmsDecision:
            return asking.ask(number, purpose="marketing")

        for number in (ANSWERS, CLICKS, IS_SILENT):
            gives(bed, number)
        # A question is allowed while its consent waits, and is not itself enough.
        worker.until(lambda: len(questions_decided(bed)) == 3, what="for the questions")
        assert advert(ANSWERS).reasons == ("CONSENT_PENDING",)

        clock.ahead_ms = 49 * HOUR
        worker.until(lambda: len(questions_decided(bed)) == 6, what="for the reminders")
        says_yes(bed, ANSWERS)
        # What a link that was sent to the number is opened for, the company's service writes.
        clicked = a_consent_event(
            event_id="click",
            subject=CLICKS,
            occurred_at=now_ms(),
            purpose=None,
            source=Source.DOUBLE_OPT_IN,
        )
        bed.consent(clicked)
        bed.flush()
        worker.until(lambda: outcomes(worker).get("confirmed") == 2, what="for the answers")
        for number in (ANSWERS, CLICKS):
            allowed = advert(number)
            assert (allowed.verdict, allowed.consent_event_id) == (Outcome.ALLOWED, number[-2:])
        assert advert(IS_SILENT).reasons == ("CONSENT_PENDING",)

        clock.ahead_ms = 8 * DAY
        worker.until(lambda: outcomes(worker).get("expired") == 1, what="for the end")
        assert advert(IS_SILENT).reasons == ("CONSENT_EXPIRED",)
        # An answer after its time revives nothing.
        gives(bed, IS_LATE, occurred_at=now_ms() - 8 * DAY)
        says_yes(bed, IS_LATE)
        worker.until(lambda: worker.handled("replies") == 2)
        assert advert(IS_LATE).reasons == ("CONSENT_EXPIRED",)
        asking.close()
        told = outcomes(worker)

    decided = questions_decided(bed)
    assert {each.verdict for each in decided.values()} == {Outcome.ALLOWED}
    assert Counter(each.facts["asking"] for each in decided.values()) == {"FIRST": 3, "REMINDER": 3}
    assert sorted(decided) == [f"confirm/{n}/{m}" for n in (10, 11, 12) for m in (1, 2)]
    assert told == {
        QuestionOutcome.ASKED.value: 3,
        QuestionOutcome.REMINDED.value: 3,
        QuestionOutcome.CONFIRMED.value: 2,
        QuestionOutcome.EXPIRED.value: 1,
    }


def test_a_worker_that_dies_after_asking_asks_nobody_twice(bed: Bed) -> None:
    gives(bed, ANSWERS)
    with worker_process(bed, module=killed_after_asking.__name__) as process:
        assert process.wait(60) == -signal.SIGKILL
    assert len(bed.read(bed.topics.requests)) == 1

    with bed.ready_gate(), working(bed, questions) as worker:
        worker.until(lambda: worker.handled("questions") == 1)
        bed.decided(2)

    # It was written twice, as nobody knew of the first; it went out once.
    assert sorted(
        (each.request_id, each.verdict.value, each.reasons) for each in bed.decisions()
    ) == [
        ("confirm/10/1", "ALLOWED", ()),
        ("confirm/10/1", "DROPPED", ("DUPLICATE_REQUEST",)),
    ]


def test_records_are_read_again_by_their_offsets_as_long_as_they_are_there(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rereading, "ANSWER_SECONDS", PATIENCE)
    topic = bed.settings.names.of(CONSENT_EVENTS)
    for number in range(2_000):
        bed.write(topic, b"key", b"%d" % number, 0)
    bed.flush()

    found = reread(bed.settings, CONSENT_EVENTS, 0, [1_999, 3, 5_000, 4, 3, 1_000])
    assert found == {offset: b"%d" % offset for offset in (3, 4, 1_000, 1_999)}
    for deleting in bed.admin.delete_records([TopicPartition(topic, 0, 1_000)]).values():
        deleting.result(PATIENCE)
    assert reread(bed.settings, CONSENT_EVENTS, 0, [3, 1_000]) == {1_000: b"1000"}
