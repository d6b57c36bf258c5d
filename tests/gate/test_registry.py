"""A gate with a schema registry: both framings in, Confluent's out, and a registry that is down."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.codec import schemas
from streams.codec.codec import open_codecs
from streams.codec.framing import RegistryId, frame
from streams.errors import SchemaError
from streams.records.decisions import Outcome
from streams.records.events import CampaignState
from streams.telemetry import metrics
from streams.testing.records import (
    a_campaign,
    a_consent_event,
    a_number,
    a_withdrawal,
    an_sms_requested,
)
from tests.contract.confluent_fake import FakeRegistry
from tests.gate.asking import Asking
from tests.gate.bed import Bed, RunningGate, now_ms, wait_for

pytestmark = pytest.mark.kafka

PLAIN = open_codecs()
"""Codecs without a registry: Avro's single-object framing."""


@dataclass
class Beside:
    """A running gate beside its registry, and people of its two partitions."""

    bed: Bed
    registry: FakeRegistry
    running: RunningGate
    asking: Asking
    people: Iterator[str] = field(default_factory=lambda: map(a_number, itertools.count()))

    def two_people(self) -> tuple[str, str]:
        """Two who agreed to marketing: one of partition 0, one of partition 1."""
        found: dict[int, str] = {}
        while len(found) < 2:
            number = next(self.people)
            found[self.bed.partition(number)] = number
        for number in found.values():
            event = a_consent_event(event_id=number, subject=number, occurred_at=now_ms() - 60_000)
            self.bed.consent(event)
        self.bed.flush()
        for number in found.values():
            assert self.asking.ask(number).verdict is Outcome.ALLOWED
        return found[0], found[1]

    def ask_later(self, *numbers: str) -> list[str]:
        """Ask for a message to each, not waiting for an answer; return the ids."""
        ids = [secrets.token_hex(4) for _ in numbers]
        for request_id, number in zip(ids, numbers, strict=True):
            request = an_sms_requested(request_id=request_id, recipient=number, valid_until=None)
            self.bed.request(request)
        self.bed.flush()
        return ids

    def stalls(self, *partitions: int) -> None:
        """Wait until exactly these partitions wait for the registry."""
        expected = dict.fromkeys(partitions, ("registry_unavailable",))

        def stalled() -> bool:
            return self.running.telemetry.members(metrics.STALLED_PARTITIONS) == expected

        wait_for(stalled, what="for the stall")

    def decided(self, request_id: str) -> bool:
        return request_id in {each.request_id for each in self.bed.decisions()}


@pytest.fixture(scope="module")
def beside(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    with FakeRegistry() as registry:
        bed = Bed(
            kafka.bootstrap_servers,
            f"t{secrets.token_hex(3)}.",
            tmp_path_factory.mktemp("registry"),
            schema_registry_url=registry.url,
            idle_tick_ms=50,
        )
        bed.codecs = open_codecs(registry.url, topic_names=bed.settings.names)
        with bed.ready_gate() as running:
            asking = Asking(bed, running)
            yield Beside(bed, registry, running, asking)
            asking.close()


def framed_with_a_new_id(registry: FakeRegistry, schema: str, body: bytes) -> bytes:
    """Frame a body with an id that no gate has seen: a producer's own, of the same schema."""
    schema_id = 1000 + len(registry.schemas)
    registry.schemas[schema_id] = {"schema": schemas.schema_text(schema), "schemaType": "AVRO"}
    return frame(body, RegistryId(schema_id))


def test_both_framings_are_read_and_confluents_is_written(beside: Beside) -> None:
    bed = beside.bed
    here, stopped = beside.two_people()
    value = PLAIN.consent_events.encode(a_withdrawal(subject=stopped))
    bed.write(bed.topics.consent, stopped.encode(), value)
    bed.flush()
    asked = [
        codecs.requests.encode(
            an_sms_requested(request_id=f"{number} {index}", recipient=number, valid_until=None)
        )
        for number in (here, stopped)
        for index, codecs in enumerate((PLAIN, bed.codecs))
    ]
    for number, value in zip((here, here, stopped, stopped), asked, strict=True):
        bed.write(bed.topics.requests, number.encode(), value)
    bed.flush()
    for number in (here, stopped):
        beside.asking.ask(number)  # whatever came before is decided by then
    decided = {each.request_id: each for each in bed.decisions()}
    for index in range(2):
        assert decided[f"{here} {index}"].verdict is Outcome.ALLOWED
        assert decided[f"{stopped} {index}"].verdict is Outcome.DROPPED
    passed = [each.value() for each in bed.read(bed.topics.allowed)]
    assert [value for value in passed if value in asked] == asked[:2]
    for topic in (bed.topics.decisions, bed.topics.ledger, bed.topics.changelog):
        assert {(each.value() or b"")[:1] for each in bed.read(topic)} == {b"\x00"}


def test_a_request_of_an_unknown_id_waits_for_the_registry_and_is_then_decided(
    beside: Beside,
) -> None:
    bed = beside.bed
    here, other = beside.two_people()
    request = an_sms_requested(request_id="unknown id", recipient=here, valid_until=None)
    body = bed.codecs.requests.encode_body(request)
    value = framed_with_a_new_id(beside.registry, "sms_requested", body)
    with out_of_order(beside.registry):
        bed.write(bed.topics.requests, here.encode(), value)
        bed.flush()
        beside.stalls(0)
        # What is known needs no registry, and the partition beside it goes on.
        assert beside.asking.ask(other).verdict is Outcome.ALLOWED
        assert not beside.decided("unknown id")
    wait_for(lambda: beside.decided("unknown id"), what="for the decision")
    assert value in {each.value() for each in bed.read(bed.topics.allowed)}
    assert value not in {each.value() for each in bed.read(bed.topics.dead_letters)}


def test_requests_behind_a_stop_of_an_unknown_id_wait_and_are_then_dropped(
    beside: Beside,
) -> None:
    bed = beside.bed
    here, other = beside.two_people()
    body = bed.codecs.consent_events.encode_body(a_withdrawal(subject=here))
    value = framed_with_a_new_id(beside.registry, "consent_event", body)
    with out_of_order(beside.registry):
        bed.write(bed.topics.consent, here.encode(), value)
        bed.flush()
        [behind] = beside.ask_later(here)
        beside.stalls(0)
        assert beside.asking.ask(other).verdict is Outcome.ALLOWED
        assert not beside.decided(behind)
    wait_for(lambda: beside.decided(behind), what="for the decision")
    [decision] = [each for each in bed.decisions() if each.request_id == behind]
    assert decision.verdict is Outcome.DROPPED
    assert "SUPPRESSED" in decision.reasons
    assert value not in {each.value() for each in bed.read(bed.topics.dead_letters)}


def test_everything_behind_a_pause_of_an_unknown_id_waits_and_is_then_held(
    beside: Beside,
) -> None:
    bed = beside.bed
    people = beside.two_people()
    paused = a_campaign(campaign_id="spring", state=CampaignState.PAUSED, pause_id="1")
    body = bed.codecs.campaigns.encode_body(paused)
    value = framed_with_a_new_id(beside.registry, "campaign", body)
    with out_of_order(beside.registry):
        bed.write(bed.topics.campaigns, b"spring#1", value, 0)
        bed.flush()
        behind = beside.ask_later(*people)
        beside.stalls(0, 1)
        assert not any(map(beside.decided, behind))
    wait_for(lambda: all(map(beside.decided, behind)), what="for the decisions")
    decided = {each.request_id: each.reasons for each in bed.decisions()}
    assert [decided[each] for each in behind] == [("CAMPAIGN_PAUSED",)] * 2
    resumed = bed.codecs.campaigns.encode(a_campaign(campaign_id="spring", resumes="1"))
    bed.write(bed.topics.campaigns, b"spring#1", resumed, 0)
    bed.flush()
    assert beside.asking.ask(people[0]).verdict is Outcome.ALLOWED


def test_an_id_that_the_registry_does_not_have_is_put_aside(beside: Beside) -> None:
    bed = beside.bed
    here, _ = beside.two_people()
    value = frame(b"body", RegistryId(2_000_000_000))
    bed.write(bed.topics.requests, here.encode(), value)
    bed.flush()
    assert beside.asking.ask(here).verdict is Outcome.ALLOWED
    [dead] = [each for each in bed.read(bed.topics.dead_letters) if each.value() == value]
    assert ("consent-gate-cause", b"undecodable") in (dead.headers() or [])


def test_a_registry_that_is_down_at_the_start_is_said_clearly(beside: Beside) -> None:
    with FakeRegistry() as down:
        pass
    with (
        pytest.raises(SchemaError, match=r"does not answer .* correct schema_registry_url"),
        beside.bed.gate("gate-2", schema_registry_url=down.url),
    ):
        pass  # never reached


@contextmanager
def out_of_order(registry: FakeRegistry) -> Iterator[None]:
    """A registry that answers nothing but 503 meanwhile."""
    registry.failing = 503
    try:
        yield
    finally:
        registry.failing = None
