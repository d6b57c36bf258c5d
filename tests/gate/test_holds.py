"""On the real broker: holds are decided again by the gate itself, each once, whatever happens."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest

from streams.audit.finding import find_by_id, read_decision_id
from streams.audit.topic_log import TopicLog
from streams.audit.verify_topics import verify_topics
from streams.broker.cluster import EmbeddedKafka
from streams.policy import declared_caps
from streams.records.decisions import Outcome, SmsDecision
from streams.records.events import Campaign, CampaignState, ConsentKind
from streams.records.requests import Occasion
from streams.telemetry import metrics
from streams.testing.records import a_consent_event, a_number, an_sms_requested
from tests.crash.test_kill import gate_process
from tests.gate.bed import PATIENCE, QUICK_TAKEOVER, Bed, now_ms, wait_for
from tests.gate.test_sends import policy_with_caps

pytestmark = pytest.mark.kafka

PEOPLE = [a_number(index) for index in range(20)]


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    bed = Bed(
        kafka.bootstrap_servers,
        topic_prefix,
        tmp_path,
        **QUICK_TAKEOVER,
        policy_dir=policy_with_caps(tmp_path / "policy", 100, "1h"),
    )
    for number in PEOPLE:
        bed.consent(a_consent_event(subject=number, occurred_at=now_ms() - 1_000))
    bed.flush()
    return bed


def campaign(bed: Bed, state: CampaignState, **changes: object) -> None:
    record = Campaign(
        campaign_id="spring",
        state=state,
        by="somebody",
        since=now_ms(),
        **{"pause_id": None, "resumes": None, "reason": None, **changes},  # type: ignore[arg-type]
    )
    key = b"spring#p-1" if "p-1" in changes.values() else b"spring"
    bed.write(bed.topics.campaigns, key, bed.codecs.campaigns.encode(record))
    bed.flush()


def pause(bed: Bed) -> None:
    campaign(bed, CampaignState.PAUSED, pause_id="p-1")


def resume(bed: Bed) -> None:
    campaign(bed, CampaignState.ACTIVE, resumes="p-1")


def ask(bed: Bed, request_id: str, number: str, **changes: object) -> None:
    fields: dict[str, object] = {"valid_until": None, **changes}
    bed.request(an_sms_requested(request_id=request_id, recipient=number, **fields))


def ask_for_password(bed: Bed, request_id: str, number: str) -> None:
    occasion = Occasion("login", request_id)
    ask(bed, request_id, number, purpose="otp", campaign_id=None, occasion=occasion)


def of(bed: Bed, request_id: str) -> list[SmsDecision]:
    return [each for each in bed.decisions() if each.request_id == request_id]


def held_now(bed: Bed) -> set[bytes]:
    """The table that ``sms.quarantined`` is."""
    table = {m.key(): m.value() for m in bed.read(bed.topics.quarantined)}
    return {key for key, value in table.items() if value is not None and isinstance(key, bytes)}


@pytest.mark.parametrize("step", ["after produce", "before the store"])
def test_a_paused_campaign_goes_out_once_when_it_resumes_though_the_gate_is_killed(
    bed: Bed, step: str
) -> None:
    armed = bed.folder / "armed"
    pause(bed)
    with gate_process(bed, "gate-1", step, str(armed), "2") as process:
        for index, number in enumerate(PEOPLE):
            ask(bed, str(index), number)
        bed.flush()
        bed.decided(len(PEOPLE))
        assert len(held_now(bed)) == len(PEOPLE)
        armed.touch()
        ask_for_password(bed, "live", a_number(50))
        bed.flush()
        bed.decided(len(PEOPLE) + 1)
        resume(bed)
        assert process.wait(PATIENCE) == -signal.SIGKILL
    with bed.ready_gate("gate-1"):
        wait_for(lambda: not held_now(bed), what="for all holds to be settled")
        decisions = bed.decisions()
    last = next(each for each in decisions if each.attempt == 1)
    assert Counter(d.verdict for d in decisions if d.attempt == 1) == {Outcome.ALLOWED: len(PEOPLE)}
    assert Counter((d.request_id, d.attempt) for d in decisions).most_common(1)[0][1] == 1
    allowed = Counter(request.request_id for request in bed.allowed())
    assert allowed == Counter([*map(str, range(len(PEOPLE))), "live"])
    # Attempts are links of the same chain, and each is found by its id.
    assert all(
        report.finding is None
        for report in verify_topics(bed.settings, bed.codecs, bed.keyring.verifier)
    )
    with TopicLog(bed.settings) as log:
        wanted = read_decision_id(last.decision_id, bed.topics.requests)
        assert wanted is not None
        assert find_by_id(log, bed.codecs, wanted, lambda *_: lambda _: None) == last
    for partition in range(2):
        chain = [d.sequence for d in decisions if d.request_partition == partition]
        assert chain == list(range(len(chain)))


def test_a_new_policy_version_decides_what_the_old_one_could_not(bed: Bed) -> None:
    ask(bed, "raffle", PEOPLE[0], purpose="raffle")
    bed.flush()
    with bed.ready_gate() as running:
        assert bed.decided(1)["raffle"].reasons == ("PURPOSE_UNKNOWN",)
        where = (str(bed.partition(PEOPLE[0])), "PURPOSE_UNKNOWN")
        told = running.telemetry.values
        wait_for(lambda: told(metrics.WAITING_HOLDS).get(where) == 1, what="for it to be told")
        manifest = bed.folder / "policy" / "policy.yaml"
        text = manifest.read_text("utf-8")
        manifest.write_text(text.replace("purposes:\n", "purposes:\n  raffle: A draw.\n", 1))
        running.gate.reload()
        wait_for(lambda: len(of(bed, "raffle")) == 2)
        again = of(bed, "raffle")[1]
        assert (again.verdict, again.reasons, again.attempt) == (
            Outcome.DROPPED,
            ("NO_BASIS",),
            1,
        )
        assert again.request_offset == of(bed, "raffle")[0].request_offset
        assert not held_now(bed)
        wait_for(lambda: told(metrics.WAITING_HOLDS).get(where) == 0, what="for its end to be told")


def held_for_a_while(bed: Bed) -> str:
    """Have a request held that is of no use soon; give its id."""
    for attempt in range(5):
        # What a busy machine decides too late is dropped at once: then one that has longer.
        request_id = f"of-no-use-{attempt}"
        ask(bed, request_id, PEOPLE[1], valid_until=now_ms() + 3_000 * 2**attempt)
        bed.flush()
        if bed.decided(2 + attempt)[request_id].verdict is Outcome.QUARANTINED:
            return request_id
    raise AssertionError("nothing was held")


def test_what_is_of_no_use_any_more_and_what_was_erased_is_dropped_where_it_waits(bed: Bed) -> None:
    pause(bed)
    ask(bed, "erased", PEOPLE[2])
    bed.flush()
    with bed.ready_gate():
        bed.decided(1)
        short_lived = held_for_a_while(bed)
        erase = a_consent_event(
            event_id="erase", subject=PEOPLE[2], kind=ConsentKind.ERASURE_REQUESTED, purpose=None
        )
        bed.consent(erase)
        bed.flush()
        wait_for(lambda: len(of(bed, short_lived)) == 2)
        assert of(bed, short_lived)[1].reasons == ("EXPIRED",)
        resume(bed)
        wait_for(lambda: len(of(bed, "erased")) == 2)
        assert "ERASED" in of(bed, "erased")[1].reasons
        assert not held_now(bed)


def test_a_withdrawal_that_came_while_it_was_held_is_honoured(bed: Bed) -> None:
    pause(bed)
    ask(bed, "a", PEOPLE[0])
    bed.flush()
    with bed.ready_gate():
        bed.decided(1)
        stop = a_consent_event(
            event_id="stop", subject=PEOPLE[0], kind=ConsentKind.WITHDRAWN, purpose=None
        )
        bed.consent(stop)
        bed.flush()
        resume(bed)
        wait_for(lambda: len(of(bed, "a")) == 2)
    assert of(bed, "a")[1].reasons == ("SUPPRESSED",)
    assert bed.allowed() == []


def test_what_waits_for_a_slot_goes_by_itself_when_it_opens(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A window that a test can wait for: policies are written in minutes.
    monkeypatch.setitem(declared_caps._UNITS_MS, "m", 2_000)
    policy_with_caps(bed.folder / "policy", 1, "1m")
    for request_id in "abc":
        ask(bed, request_id, PEOPLE[0])
    bed.flush()
    with bed.ready_gate():
        bed.decided(3)
        first = {each: of(bed, each)[0] for each in "abc"}
        wait_for(lambda: len(bed.allowed()) == 3)
        last = [of(bed, each)[-1] for each in "abc"]
    assert [first[each].reasons for each in "abc"] == [(), ("FREQUENCY",), ("FREQUENCY",)]
    until = [first[each].hold_until or 0 for each in "bc"]
    assert until == [first["a"].decided_at + 2_000, until[0] + 2_000]
    # Each in its slot, at the first time it was decided again or a later one.
    assert last[1].decided_at >= until[0]
    assert last[2].decided_at >= last[1].decided_at + 2_000
    assert not held_now(bed)
