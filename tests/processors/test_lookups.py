"""An old consent is looked up before it is used: gate, worker and service together."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.processors.lookups import lookups
from streams.records.decisions import Outcome, SmsDecision
from streams.records.events import ConsentEvent, ConsentKind
from streams.telemetry.labels import EventOutcome
from streams.testing.reassigned_numbers import FakeReassignedNumbers, fake_reassigned_numbers
from streams.testing.records import a_consent_event, a_number, a_number_unchecked
from streams.topology import CONSENT_EVENTS, NUMBERS_UNCHECKED
from tests.gate.asking import Asking
from tests.gate.bed import PLAIN_POLICY, Bed, now_ms
from tests.processors.bed import working

pytestmark = pytest.mark.kafka

YEARS_MS = 3 * 365 * 86_400_000
RULE = """
  - id: old-consent-not-looked-up
    text: Nobody looked whether the number is still the consenting person's.
    when: purpose == Purpose.MARKETING && holder in [Holder.WITHIN_YEAR, Holder.OLD]
    then: quarantine
    reason: NUMBER_UNCHECKED
    cites: "47 CFR 64.1200(m)"
"""
KEPT, CHANGED, UNKNOWN, FRESH = (a_number(n) for n in (1, 2, 3, 4))


@pytest.fixture
def fake() -> Iterator[FakeReassignedNumbers]:
    with fake_reassigned_numbers() as serving:
        serving.answers.update({KEPT: "no", CHANGED: "yes"})
        yield serving


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    """An installation whose policy demands a look-up for advertising."""
    policy = tmp_path / "policy"
    shutil.copytree(PLAIN_POLICY, policy)
    (policy / "tests.yaml").unlink()
    with (policy / "message.yaml").open("a") as rules:
        rules.write(RULE)
    return Bed(
        kafka.bootstrap_servers,
        topic_prefix,
        tmp_path,
        session_timeout_ms=6_000,
        policy_dir=policy,
    )


def said(bed: Bed) -> list[ConsentEvent]:
    """The consent events that the look-ups came to."""
    read = bed.read(bed.settings.names.of(CONSENT_EVENTS))
    events = [bed.codecs.consent_events.decode(message.value()) for message in read]
    return [event for event in events if event.event_id.startswith("lookup/")]


def test_an_old_consent_is_used_once_the_number_was_found_to_have_kept_its_holder(
    bed: Bed, fake: FakeReassignedNumbers
) -> None:
    for number in (KEPT, CHANGED, UNKNOWN, FRESH):
        given = now_ms() - (0 if number == FRESH else YEARS_MS)
        bed.consent(a_consent_event(event_id=number, subject=number, occurred_at=given))
    bed.flush()
    with bed.ready_gate() as running:
        asking = Asking(bed, running)

        def ask(number: str) -> SmsDecision:
            return asking.ask(number, purpose="marketing")

        assert ask(FRESH).verdict is Outcome.ALLOWED
        for number in (KEPT, CHANGED, UNKNOWN, KEPT):
            held = ask(number)
            assert (held.verdict, held.reasons) == (Outcome.QUARANTINED, ("NUMBER_UNCHECKED",))
        with working(bed, lookups, lookup_url=fake.url) as worker:
            worker.until(lambda: worker.handled("lookups") == 4)
        assert sorted(number for number, _ in fake.asked) == [KEPT, CHANGED, UNKNOWN], "once each"
        assert {event.subject: event.kind for event in said(bed)} == {
            KEPT: ConsentKind.NUMBER_CHECKED,
            CHANGED: ConsentKind.NUMBER_REASSIGNED,
        }
        assert ask(KEPT).verdict is Outcome.ALLOWED
        changed = ask(CHANGED)
        assert (changed.verdict, changed.reasons[0]) == (Outcome.DROPPED, "NUMBER_REASSIGNED")
        assert ask(UNKNOWN).reasons == ("NUMBER_UNCHECKED",)
        asking.close()


def test_while_the_service_is_down_nothing_is_said_and_then_it_is(
    bed: Bed, fake: FakeReassignedNumbers
) -> None:
    topic = bed.settings.names.of(NUMBERS_UNCHECKED)
    unchecked = bed.codecs.unchecked.encode(a_number_unchecked(number=KEPT))
    bed.write(topic, KEPT.encode(), b"garbage", bed.partition(KEPT))
    bed.write(topic, KEPT.encode(), unchecked, bed.partition(KEPT))
    bed.flush()
    fake.status = 503
    with working(bed, lookups, lookup_url=fake.url) as worker:
        worker.until(lambda: len(fake.asked) >= 2)
        assert said(bed) == []
        fake.status = 200
        worker.until(lambda: len(said(bed)) == 1)
        worker.until(lambda: worker.handled("lookups", EventOutcome.DEAD_LETTERED) == 1)
