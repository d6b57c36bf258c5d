"""A withdrawn name and a paused campaign are honoured like a withdrawn consent."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.gate.barrier import Targets
from streams.gate.gate import Gate
from streams.records.counted import uploader
from streams.records.decisions import Outcome, SmsDecision
from streams.records.events import Campaign, CampaignState, NameConsent
from streams.records.requests import Initiator, InitiatorEvidence, NamedPerson, TextAuthor
from streams.records.templates import Template, template_key
from streams.state.log_reader import At
from streams.testing.records import (
    a_campaign,
    a_consent_event,
    a_name_consent,
    a_number,
    a_template,
)
from tests.gate.asking import Asking
from tests.gate.bed import PLAIN_POLICY, Bed, RunningGate, now_ms, wait_for

pytestmark = pytest.mark.kafka

TIMES = 50
RECIPIENT, USER, NAMED = a_number(1), a_number(2), a_number(3)
BODY = "N. and I are on the network now. Would you like to join us?"


def new_bed(kafka: EmbeddedKafka, folder: Path) -> Bed:
    """
    An installation whose recipient agreed to invitations and to marketing.

    Its policy is the plain one without caps: a play asks fifty times.
    """
    policy = folder / "policy"
    shutil.copytree(PLAIN_POLICY, policy)
    manifest = policy / "policy.yaml"
    text, caps = re.subn(r"^caps:\n(?:  - .*\n)+", "", manifest.read_text(), flags=re.MULTILINE)
    assert caps == 1
    manifest.write_text(text)
    bed = Bed(kafka.bootstrap_servers, f"t{secrets.token_hex(3)}.", folder, policy_dir=policy)
    for purpose in ("invite", "marketing"):
        bed.consent(
            a_consent_event(
                event_id=purpose,
                subject=RECIPIENT,
                purpose=purpose,
                occurred_at=now_ms() - 60_000,
            )
        )
    bed.flush()
    return bed


@pytest.fixture(scope="module")
def asking(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    bed = new_bed(kafka, tmp_path_factory.mktemp("broadcast"))
    with bed.ready_gate() as running:
        asking = Asking(bed, running)
        yield asking
        asking.close()


def invite(asking: Asking) -> SmsDecision:
    """Ask for an invitation that names a third person; only that can object to it."""
    confirmed = sha256(f"{RECIPIENT}\n{BODY}".encode()).hexdigest()
    evidence = InitiatorEvidence(
        recipient_hand_picked=True,
        effect_disclosed=True,
        text_shown=True,
        confirmed_at=1,  # each time the same: what follows a request's head is then recognised
        confirmed_sha256=confirmed,
        text_author=TextAuthor.USER,
    )
    return asking.ask(
        RECIPIENT,
        purpose="invite",
        body=BODY,
        initiator=Initiator(USER, "tap_invite", evidence),
        named_persons=(NamedPerson("N.", NAMED),),
    )


def advertise(asking: Asking, campaign_id: str) -> SmsDecision:
    return asking.ask(RECIPIENT, campaign_id=campaign_id)


def name(bed: Bed, key: str, record: NameConsent | bytes | None) -> None:
    value = bed.codecs.name_consents.encode(record) if isinstance(record, NameConsent) else record
    bed.write(bed.topics.names, key.encode(), value, 0)
    bed.flush()


def campaign(bed: Bed, key: str, record: Campaign | bytes | None) -> None:
    value = bed.codecs.campaigns.encode(record) if isinstance(record, Campaign) else record
    bed.write(bed.topics.campaigns, key.encode(), value, 0)
    bed.flush()


def pause(bed: Bed, campaign_id: str, pause_id: str) -> None:
    record = a_campaign(campaign_id=campaign_id, state=CampaignState.PAUSED, pause_id=pause_id)
    campaign(bed, f"{campaign_id}#{pause_id}", record)


def resume(bed: Bed, campaign_id: str, pause_id: str) -> None:
    record = a_campaign(campaign_id=campaign_id, resumes=pause_id)
    campaign(bed, f"{campaign_id}#{pause_id}", record)


# -------------------------------------------------------------------------------------- the names


def violations_after_a_name_was_taken_back(asking: Asking) -> int:
    """Allow a name and take it back, fifty times; count what is decided otherwise."""
    bed, violations = asking.bed, 0
    for turn in range(TIMES):
        name(bed, NAMED, a_name_consent(subject=NAMED))
        violations += invite(asking).verdict is not Outcome.ALLOWED
        name(bed, NAMED, a_name_consent(subject=NAMED, granted=False) if turn % 2 else None)
        violations += invite(asking).verdict is not Outcome.DROPPED
    return violations


def test_a_name_that_was_taken_back_is_honoured_at_once(asking: Asking) -> None:
    assert violations_after_a_name_was_taken_back(asking) == 0
    assert invite(asking).reasons == ("NAMES_THIRD_PARTY",)


@pytest.mark.parametrize(
    ("record", "allowed"),
    [
        (a_name_consent(subject=NAMED), True),
        (a_name_consent(subject=NAMED, purpose=None), True),
        (a_name_consent(subject=NAMED, purpose="marketing"), False),
        (a_name_consent(subject=NAMED, until=1), False),
        (a_name_consent(subject=a_number(9)), False),
        (b"garbage", False),
        (b"", False),
    ],
)
def test_a_name_is_allowed_only_by_a_whole_and_living_consent_of_that_person(
    asking: Asking, record: NameConsent | bytes, allowed: bool
) -> None:
    name(asking.bed, NAMED, a_name_consent(subject=NAMED))
    assert invite(asking).verdict is Outcome.ALLOWED

    name(asking.bed, NAMED, record)

    assert (invite(asking).verdict is Outcome.ALLOWED) is allowed


# ---------------------------------------------------------------------------------- the campaigns


def violations_after_a_pause(asking: Asking) -> int:
    """Pause and resume, fifty times; count what is decided otherwise."""
    bed, violations = asking.bed, 0
    campaign_id = f"campaign {secrets.token_hex(3)}"
    for turn in range(TIMES):
        pause(bed, campaign_id, str(turn))
        violations += advertise(asking, campaign_id).verdict is not Outcome.QUARANTINED
        resume(bed, campaign_id, str(turn))
        violations += advertise(asking, campaign_id).verdict is not Outcome.ALLOWED
    return violations


def test_a_pause_and_its_end_are_honoured_at_once(asking: Asking) -> None:
    assert violations_after_a_pause(asking) == 0


def test_the_stamp_tells_how_far_the_broadcast_topics_were_read(asking: Asking) -> None:
    before = advertise(asking, "stamped").broadcast_offsets
    pause(asking.bed, "stamped", "1")

    after = advertise(asking, "stamped")

    assert after.reasons == ("CAMPAIGN_PAUSED",)
    assert after.broadcast_offsets["campaigns"] == before["campaigns"] + 1
    assert after.broadcast_offsets["names.consents"] == before["names.consents"]


# ---------------------------------------------------------------------------------- the templates


def template(bed: Bed, version: int, record: Template | bytes | None) -> None:
    value = bed.codecs.templates.encode(record) if isinstance(record, Template) else record
    bed.write(bed.topics.templates, template_key("password", version).encode(), value, 0)
    bed.flush()


def by_template(asking: Asking, body: str) -> str:
    """Ask for a message by the template ``password`` and say whether its text was that one's."""
    decision = asking.ask(
        RECIPIENT,
        purpose="otp",
        template_id="password",
        template_params={"code": "1234"},
        body=body,
    )
    assert "templates" in decision.broadcast_offsets
    return decision.facts["template"]


def test_a_template_counts_at_once_and_until_it_is_taken_back(asking: Asking) -> None:
    bed = asking.bed
    assert by_template(asking, "Shop: your code is 1234") == "UNKNOWN"
    template(bed, 1, a_template())
    assert by_template(asking, "Shop: your code is 1234") == "MATCH"
    assert by_template(asking, "Your code: 1234") == "MISMATCH"
    template(bed, 2, a_template(version=2, text="Your code: {code}"))
    assert by_template(asking, "Your code: 1234") == "MATCH"
    template(bed, 1, None)
    assert by_template(asking, "Shop: your code is 1234") == "MISMATCH"
    template(bed, 2, b"garbage")
    assert by_template(asking, "Your code: 1234") == "UNKNOWN"


def one_turn_late(gate: Gate) -> None:
    """A mutation: the broadcast topics are read as far as they went one barrier ago."""
    read = gate._barrier.read
    last: dict[At, int] = {}

    def late(partitions: Iterable[At]) -> Targets:
        now = read(partitions)
        then = {at: last.get(at, 0) for at in gate._topics.broadcast}
        last.update({at: now.offsets[at] for at in gate._topics.broadcast})
        return Targets({**now.offsets, **then}, now.unreachable)

    gate._barrier.read = late  # type: ignore[method-assign]


def test_the_same_plays_fail_without_a_true_barrier(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    bed = new_bed(kafka, tmp_path)
    with bed.ready_gate(idle_tick_ms=60_000) as running:
        one_turn_late(running.gate)
        asking = Asking(bed, running)
        assert violations_after_a_pause(asking) > 0
        assert violations_after_a_name_was_taken_back(asking) > 0
        asking.close()


def test_a_pause_lasts_until_a_record_names_it(asking: Asking) -> None:
    bed = asking.bed
    pause(bed, "autumn", "a")
    pause(bed, "autumn", "b")

    def paused() -> bool:
        return advertise(asking, "autumn").verdict is Outcome.QUARANTINED

    assert paused()
    campaign(bed, "autumn", a_campaign(campaign_id="autumn"))
    assert paused(), "a service's own ACTIVE ends nothing"
    campaign(bed, "autumn#a", a_campaign(campaign_id="autumn"))
    assert paused(), "not under the pause's key either"
    campaign(bed, "autumn#a", None)
    assert paused(), "nor does a tombstone"
    campaign(bed, "autumn#c", a_campaign(campaign_id="autumn", resumes="c"))
    assert paused(), "nor the end of another pause"
    resume(bed, "autumn", "a")
    assert paused(), "the other one still stands"
    resume(bed, "autumn", "b")
    assert not paused()
    assert advertise(asking, "spring").verdict is Outcome.ALLOWED


def test_a_record_that_cannot_be_read_pauses_its_campaign(asking: Asking) -> None:
    bed = asking.bed
    campaign(bed, "winter", b"garbage")

    assert advertise(asking, "winter").reasons == ("CAMPAIGN_PAUSED",)
    assert advertise(asking, "summer").verdict is Outcome.ALLOWED
    campaign(bed, "winter", a_campaign(campaign_id="winter", resumes="unreadable winter"))
    assert advertise(asking, "winter").verdict is Outcome.ALLOWED


@pytest.mark.parametrize("compacted", [False, True])
def test_a_gate_that_starts_afterwards_sees_the_same(
    kafka: EmbeddedKafka, tmp_path: Path, compacted: bool
) -> None:
    bed = new_bed(kafka, tmp_path)
    history: list[tuple[str, str, Any]] = [
        ("campaigns", "paused#1", ("paused", CampaignState.PAUSED, "1", None)),
        ("campaigns", "paused", ("paused", CampaignState.ACTIVE, None, None)),
        ("campaigns", "resumed#1", ("resumed", CampaignState.PAUSED, "1", None)),
        ("campaigns", "resumed#1", ("resumed", CampaignState.ACTIVE, None, "1")),
        ("campaigns", "paused twice#1", ("paused twice", CampaignState.PAUSED, "1", None)),
        ("campaigns", "paused twice#2", ("paused twice", CampaignState.PAUSED, "2", None)),
        ("campaigns", "paused twice#1", ("paused twice", CampaignState.ACTIVE, None, "1")),
        ("names", NAMED, True),
        ("names", NAMED, False),
    ]
    if compacted:  # the broker keeps the last record of each key
        history = list({(topic, key): (topic, key, said) for topic, key, said in history}.values())
    for topic, key, said in history:
        if topic == "names":
            name(bed, key, a_name_consent(subject=key, granted=said))
        else:
            of, state, pause_id, resumes = said
            campaign(
                bed,
                key,
                a_campaign(campaign_id=of, state=state, pause_id=pause_id, resumes=resumes),
            )

    def outcomes(running: RunningGate) -> list[Outcome]:
        asking = Asking(bed, running)
        decisions = [advertise(asking, of) for of in ("paused", "resumed", "paused twice")]
        decisions.append(invite(asking))
        asking.close()
        return [decision.verdict for decision in decisions]

    expected = [Outcome.QUARANTINED, Outcome.ALLOWED, Outcome.QUARANTINED, Outcome.DROPPED]
    with bed.ready_gate("gate-1") as running:
        assert outcomes(running) == expected
        assert bed.allowed()[0].campaign_id == "resumed"
    with bed.ready_gate("gate-1") as running:
        assert outcomes(running) == expected


def test_what_a_paused_user_initiates_is_held_in_whatever_campaign(asking: Asking) -> None:
    bed = asking.bed
    about = uploader(bed.keyring.subject_ids.of(USER))
    name(bed, NAMED, a_name_consent(subject=NAMED))
    assert invite(asking).verdict is Outcome.ALLOWED
    pause(bed, about, "1")

    held = invite(asking)

    assert (held.verdict, held.reasons) == (Outcome.QUARANTINED, ("CAMPAIGN_PAUSED",))
    assert advertise(asking, "spring").verdict is Outcome.ALLOWED, "nobody's else"
    resume(bed, about, "1")
    assert invite(asking).verdict is Outcome.ALLOWED

    def again() -> list[Outcome]:
        return [
            d.verdict for d in bed.decisions() if (d.request_id, d.attempt) == (held.request_id, 1)
        ]

    wait_for(lambda: again() == [Outcome.ALLOWED], what="for the held one to be decided again")


def test_a_request_of_no_campaign_minds_no_pause(asking: Asking) -> None:
    pause(asking.bed, "spare", "1")
    assert asking.ask(RECIPIENT, campaign_id=None).verdict is Outcome.ALLOWED
