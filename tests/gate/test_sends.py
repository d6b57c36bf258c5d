"""On the real broker: caps and repeated requests, over checkpoints, kills and reloads."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.gate.live_policy import LivePolicy
from streams.records.decisions import Outcome, SmsDecision
from streams.records.events import ConsentKind
from streams.state import sends
from streams.testing.records import a_consent_event, a_number, an_sms_requested
from tests.crash.test_kill import gate_process
from tests.gate.bed import PATIENCE, PLAIN_POLICY, QUICK_TAKEOVER, Bed, now_ms, wait_for

pytestmark = pytest.mark.kafka

NUMBER = a_number(1)
HOUR = 3_600_000
CAPS = "caps:\n  - {{purposes: [marketing], per: [campaign], most: {most}, window: {window}}}\n\n"


def policy_with_caps(folder: Path, most: int, window: str) -> Path:
    """The plain policy, but with one cap: so many advertisements of a campaign."""
    shutil.copytree(PLAIN_POLICY, folder, dirs_exist_ok=True)
    manifest = folder / "policy.yaml"
    text = manifest.read_text("utf-8")
    before, _, rest = text.partition("caps:\n")
    _, _, rules = rest.partition("\nrules:")
    caps = CAPS.format(most=most, window=window)
    manifest.write_text(f"{before}{caps}rules:{rules}", "utf-8")
    return folder


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    bed = Bed(
        kafka.bootstrap_servers,
        topic_prefix,
        tmp_path,
        **QUICK_TAKEOVER,
        policy_dir=policy_with_caps(tmp_path / "policy", 3, "1h"),
    )
    for index in range(10):
        bed.consent(a_consent_event(subject=a_number(index), occurred_at=now_ms() - 1_000))
    bed.flush()
    return bed


def ask(bed: Bed, request_id: str, number: str = NUMBER, **changes: object) -> None:
    bed.request(
        an_sms_requested(request_id=request_id, recipient=number, valid_until=None, **changes)
    )


def ask_all(bed: Bed, request_ids: str, number: str = NUMBER) -> None:
    for request_id in request_ids:
        ask(bed, request_id, number)
    bed.flush()


def verdicts(found: dict[str, SmsDecision], request_ids: str) -> list[tuple[str, ...]]:
    return [found[each].reasons for each in request_ids]


@pytest.mark.parametrize("checkpoint", [2, 50_000])
def test_caps_and_repeated_requests_are_exact_in_a_batch_and_over_a_takeover(
    bed: Bed, checkpoint: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sends, "CHECKPOINT_DECISIONS", checkpoint)
    ask_all(bed, "abbcde")
    ask(bed, "autumn", campaign_id="autumn")
    bed.flush()
    with bed.ready_gate():
        bed.decided(7)
        first = bed.decisions()
    mine = [d for d in first if d.campaign_id == "spring"]
    assert [d.reasons for d in mine] == [
        (),
        (),
        ("DUPLICATE_REQUEST",),
        (),
        ("FREQUENCY",),
        ("FREQUENCY",),
    ]
    slots = [d.hold_until for d in mine]
    # Held ones get successive slots: when the first leaves the window, then the second.
    assert slots[4] == mine[0].decided_at + HOUR
    assert slots[5] == mine[1].decided_at + HOUR
    assert {d.request_id: d.verdict for d in first}["autumn"] is Outcome.ALLOWED
    written = bed.read(bed.topics.sends)
    assert bool(written) is (checkpoint == 2)
    # An empty disk: what was sent is read back.
    ask_all(bed, "cdf")
    with bed.ready_gate(state_dir=bed.folder / "elsewhere"):
        again = bed.decided(10)
    assert verdicts(again, "cdf") == [
        ("DUPLICATE_REQUEST", "FREQUENCY"),
        ("DUPLICATE_REQUEST", "FREQUENCY"),
        ("FREQUENCY",),
    ]
    positions = [
        bed.codecs.positions.decode(m.value())
        for m in bed.read(bed.topics.changelog)
        if m.key() == b"position" and m.partition() == bed.partition(NUMBER)
    ]
    assert (positions[-1].send_checkpoint > 0) is (checkpoint == 2)


def test_after_an_erasure_nothing_that_was_sent_before_counts(bed: Bed) -> None:
    ask_all(bed, "abc")
    with bed.ready_gate():
        bed.decided(3)
        bed.consent(
            a_consent_event(
                event_id="erase",
                subject=NUMBER,
                kind=ConsentKind.ERASURE_REQUESTED,
                purpose=None,
                occurred_at=now_ms(),
            )
        )
        bed.flush()
        ask_all(bed, "d")
        assert "ERASED" in bed.decided(4)["d"].reasons
        bed.consent(a_consent_event(event_id="new", subject=NUMBER, occurred_at=now_ms() + 50))
        bed.flush()
        ask_all(bed, "ae")
        found = bed.decided(6)
    assert verdicts(found, "ae") == [(), ()]


def test_a_policy_that_looks_further_back_has_it_read_back(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_all(bed, "abc")
    with bed.ready_gate() as running:
        bed.decided(3)
        restored = running.gate._sends.of(bed.partition(NUMBER))
        policy_with_caps(bed.folder / "policy", 2, "3d")
        running.gate.reload()
        policy: LivePolicy = running.gate._policy
        wait_for(lambda: policy.current.caps.horizon_ms == 3 * 24 * HOUR)

        def read_back() -> bool:
            memories = running.gate._sends._memories
            return memories.get(bed.partition(NUMBER), restored) is not restored

        wait_for(read_back, what="for the memory to be restored")
        ask_all(bed, "d")
        found = bed.decided(4)
    assert found["d"].reasons == ("FREQUENCY",)
    assert found["d"].hold_until is not None
    assert found["d"].hold_until > now_ms() + 70 * HOUR


@pytest.mark.parametrize("step", ["after produce", "before the store"])
def test_a_gate_that_is_killed_lets_no_message_more_go_than_the_cap(bed: Bed, step: str) -> None:
    people = [a_number(index) for index in range(10)]
    armed = bed.folder / "armed"
    asked: list[str] = []

    def ask_everybody() -> None:
        for number in people:
            asked.append(f"{len(asked)}")
            ask(bed, asked[-1], number)
        bed.flush()

    with gate_process(bed, "gate-1", step, str(armed), "2") as process:
        ask_everybody()
        bed.decided(len(asked))
        armed.touch()
        until = time.monotonic() + 2 * PATIENCE
        while process.poll() is None:
            assert time.monotonic() < until, "it did not die"
            ask_everybody()
            bed.decided(1)
    with bed.ready_gate("gate-1"):
        ask_everybody()
        bed.decided(len(asked))
        decisions = bed.decisions()
    assert Counter(d.request_id for d in decisions) == Counter(asked)
    allowed = Counter(d.subject_id for d in decisions if d.verdict is Outcome.ALLOWED)
    wanted = min(3, len(asked) // len(people))
    assert set(allowed.values()) == {wanted}
    assert len(bed.allowed()) == wanted * len(people)
