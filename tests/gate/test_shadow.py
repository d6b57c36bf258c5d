"""A candidate policy is asked and heard by nobody: whatever it says, nothing ends otherwise."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.broker.cluster import EmbeddedKafka
from streams.codec.codec import open_codecs
from streams.gate.deciding import Deciding
from streams.gate.ground import Ground
from streams.gate.holding import Holding
from streams.gate.owned import Owned
from streams.gate.shadow import Candidate, CandidatePolicy
from streams.gate.topics import GateTopics
from streams.gate.work import Chain, Work
from streams.policy.policy import Policy, load_policy, load_policy_files
from streams.policy.templates import NO_TEMPLATES
from streams.records.decisions import Outcome, Shadow, SmsDecision
from streams.records.events import Basis, Source
from streams.records.requests import Initiator, Occasion, SmsRequested
from streams.records.subject import Position, SubjectState
from streams.resources import data_dir
from streams.sealing.keyring import KeyRing, open_keyring
from streams.sealing.secrets_folder import init_secrets
from streams.state.broadcast import CampaignTable, NameConsentTable
from streams.state.holds import Holds
from streams.state.sends import Sends
from streams.state.store import Store
from streams.state.subjects import Subjects
from streams.telemetry import metrics
from streams.telemetry.telemetry import Telemetry
from streams.testing.records import (
    NOON,
    a_campaign,
    a_consent_event,
    a_grant,
    a_number,
    a_subject_state,
    an_sms_requested,
)
from streams.topology import SMS_REQUESTED, TopicNames
from tests.gate.asking import Asking
from tests.gate.bed import PLAIN_POLICY, Bed, now_ms

CODECS = open_codecs()
TOPICS = GateTopics.of(TopicNames())
PACKS = data_dir("policies")
RECIPIENT = a_number(1)

DROPS_ALL = """\
rules:
  - id: nothing-goes
    text: Nothing is sent.
    when: state == State.READABLE
    then: drop
    reason: NUMBER_REASSIGNED
    cites: Case
"""


def manifest(purposes: frozenset[str]) -> str:
    declared = "".join(f"  {purpose}: Something.\n" for purpose in sorted(purposes))
    return f"name: other\nedition: '1'\npurposes:\n{declared}rules: [rules.yaml]\n"


@cache
def live() -> Policy:
    return load_policy(PLAIN_POLICY)


@cache
def drops_all() -> Policy:
    files = {"policy.yaml": manifest(live().purposes), "rules.yaml": DROPS_ALL}
    return load_policy_files(files, "candidate")


class Raises(Policy):
    """A policy with a mistake that no check finds."""

    def __init__(self) -> None:
        sound = live()
        super().__init__(
            name="raises",
            edition="1",
            version="f" * 64,
            files={},
            purposes=sound.purposes,
            rules=sound.rules,
            registers=sound.registers,
            language=sound.language,
        )

    def verdict(self, facts: Any, now_ms: int) -> Any:
        raise RecursionError(f"about {RECIPIENT}")


class RaisesWhileReading(Raises):
    """And one whose registers cannot even be read."""

    @property
    def registers(self) -> Any:
        raise ValueError("no registers")

    @registers.setter
    def registers(self, registers: object) -> None:
        pass

    def reads_like(self, other: Policy) -> bool:
        return False


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    folder = tmp_path_factory.mktemp("secrets")
    init_secrets(folder)
    return open_keyring(folder)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("state")
    store = Store(folder / "state", map_bytes=1 << 24, written_by="test")
    yield store
    store.close()


class Gate:
    """The deciding part of a gate of one partition, in which one person is known."""

    def __init__(self, keyring: KeyRing, store: Store, state: SubjectState | None) -> None:
        subjects = Subjects(store, CODECS.subject_states, CODECS.subject_keys)
        subjects.discard(0)
        if state is not None:
            mine = replace(state, subject_id=keyring.subject_ids.of(RECIPIENT))
            subjects.change(0, mine)
        sends = Sends(live().caps.horizon_ms)
        sends.begin(0, 0, NOON)
        holds = Holds(7 * 86_400_000)
        holds.begin(0)
        data_keys = keyring.data_keys()
        campaigns = CampaignTable(keyring.subject_ids.of)
        campaigns.apply(a_campaign(campaign_id="paused"))
        self.deciding = Deciding(
            subjects=subjects,
            sends=sends,
            holding=Holding(
                holds=holds, store=store, subjects=subjects, data_keys=data_keys, codecs=CODECS
            ),
            codecs=CODECS,
            subject_ids=keyring.subject_ids,
            data_keys=data_keys,
            names=NameConsentTable(),
            campaigns=campaigns,
            templates=NO_TEMPLATES,
            topics=TOPICS,
            partitions=1,
            group_id="gates",
        )

    def decide(
        self,
        asked: list[SmsRequested],
        candidate: Candidate | None,
        policy: Policy | None = None,
        now_ms: int = NOON,
    ) -> Work:
        messages = [
            Message(
                topic=SMS_REQUESTED.name,
                partition=0,
                offset=offset,
                key=request.recipient.encode(),
                value=CODECS.requests.encode(request),
                timestamp=(TIMESTAMP_LOG_APPEND_TIME, NOON),
            )
            for offset, request in enumerate(asked)
        ]
        decisions = Chain(CODECS.decisions.frame, TOPICS.decisions, 0, 0, b"")
        ledger = Chain(CODECS.ledger.frame, TOPICS.ledger, 0, 0, b"")
        work = Work(Owned(0, position=Position(0)), messages, decisions, ledger)
        self.deciding.decide(work, Ground(policy or live(), {"campaigns": 1}, now_ms, candidate))
        return work


def decided(work: Work) -> list[SmsDecision]:
    return [CODECS.decisions.decode(output.value) for output in work.decisions.outputs]


def without_shadow(work: Work) -> list[SmsDecision]:
    """The decisions but for the shadow, and for the chain over it."""
    return [replace(decision, shadow=None, previous=b"") for decision in decided(work)]


def sent(work: Work) -> list[tuple[object, ...]]:
    """What leaves the gate beside the decisions; what is sealed is sealed anew each time."""
    return [
        (output.topic, output.partition, output.key, output.headers)
        + ((output.value,) if output.topic == TOPICS.allowed else ())
        for output in work.outputs
        if output.topic != TOPICS.keys
    ]


requests = st.builds(
    an_sms_requested,
    recipient=st.just(RECIPIENT),
    request_id=st.sampled_from(("one", "two", "three")),
    purpose=st.sampled_from(("marketing", "invite", "otp", "transactional", "unheard of")),
    campaign_id=st.none() | st.sampled_from(("paused", "spring")),
    body=st.sampled_from(("Come.", "See https://example.com/now", "Reply STOP to end")),
    occasion=st.none() | st.just(Occasion("login", "session")),
    initiator=st.just(Initiator()),
    valid_until=st.none() | st.integers(NOON - 10, NOON + 10),
)
states = st.none() | st.builds(
    lambda basis, source, undecodable: a_subject_state(
        grants=(a_grant(basis=basis, source=source),), undecodable=undecodable
    ),
    st.sampled_from(tuple(Basis)),
    st.sampled_from(tuple(Source)),
    st.sampled_from(((), (7,))),
)
candidates = st.sampled_from(
    ("plain", "default", "cn", "us", "drops all", "raises", "raises reading")
)


@cache
def candidate_of(name: str) -> Policy:
    match name:
        case "drops all":
            return drops_all()
        case "raises":
            return Raises()
        case "raises reading":
            return RaisesWhileReading()
        case _:
            return load_policy(PACKS / name)


@settings(deadline=None)
@given(asked=st.lists(requests, min_size=1, max_size=5), state=states, name=candidates)
def test_no_candidate_makes_any_decision_another(
    keyring: KeyRing, store: Store, asked: list[SmsRequested], state: SubjectState | None, name: str
) -> None:
    telemetry = Telemetry()
    alone = Gate(keyring, store, state).decide(asked, None)
    beside = Gate(keyring, store, state).decide(asked, Candidate(candidate_of(name), telemetry))

    assert without_shadow(beside) == without_shadow(alone)
    assert sent(beside) == sent(alone)
    assert beside.tally.verdicts() == alone.tally.verdicts()
    assert beside.tally.reasons() == alone.tally.reasons()
    assert all(decision.shadow is None for decision in decided(alone))
    failed = telemetry.values(metrics.CANDIDATE_ERRORS)[()]
    assert sum(beside.tally.candidates().values()) + failed == len(asked)
    assert {d.shadow is None for d in decided(beside)} == {name.startswith("raises")}


@settings(deadline=None)
@given(
    asked=requests, state=states, name=st.sampled_from(("cn", "us", "eu", "ca", "plain", "default"))
)
def test_the_shadow_is_what_the_candidate_decides_where_it_is_live(
    keyring: KeyRing, store: Store, asked: SmsRequested, state: SubjectState | None, name: str
) -> None:
    candidate = candidate_of(name)
    beside = Gate(keyring, store, state).decide([asked], Candidate(candidate, Telemetry()))
    alone = Gate(keyring, store, state).decide([asked], None, candidate)
    [shadow], [own] = [each.shadow for each in decided(beside)], decided(alone)
    assert shadow == Shadow(candidate.version[:16], own.verdict, own.reasons)


def test_what_the_candidate_raises_is_told_without_what_it_quotes(
    keyring: KeyRing, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry = Telemetry()
    asked = [an_sms_requested(recipient=RECIPIENT)] * 3
    Gate(keyring, store, None).decide(asked, Candidate(Raises(), telemetry))
    assert telemetry.values(metrics.CANDIDATE_ERRORS)[()] == 3
    assert RECIPIENT not in "".join(capsys.readouterr())


def test_the_live_policy_may_change_beside_it(keyring: KeyRing, store: Store) -> None:
    """What it keeps for one live policy is not taken for another's."""
    candidate = Candidate(live(), Telemetry())
    gate = Gate(keyring, store, a_subject_state())
    for number, policy in enumerate((live(), drops_all(), load_policy(PACKS / "cn"), live())):
        asked = [
            an_sms_requested(recipient=RECIPIENT, request_id=f"{number} {which}", purpose=purpose)
            for which, purpose in enumerate(("marketing", "invite", "marketing", "unheard of"))
        ]
        shadows = [decision.shadow for decision in decided(gate.decide(asked, candidate, policy))]
        assert [shadow and shadow.verdict for shadow in shadows] == [
            Outcome.ALLOWED,
            Outcome.DROPPED,
            Outcome.ALLOWED,
            Outcome.QUARANTINED,
        ]


def test_a_dated_rule_of_the_candidate_counts_from_its_day_on(
    keyring: KeyRing, store: Store
) -> None:
    tomorrow = datetime.fromtimestamp(NOON / 1000 + 86_400, UTC).date()
    files = dict(live().files)
    files["policy.yaml"] = files["policy.yaml"].replace("rules:\n", "rules:\n  - dated.yaml\n", 1)
    files["dated.yaml"] = DROPS_ALL + f"    from: {tomorrow}\n"
    dated = load_policy_files(files, "candidate")
    assert dated.reads_like(live())
    candidate, gate = Candidate(dated, Telemetry()), Gate(keyring, store, None)
    verdicts = []
    for at in (NOON, NOON + 86_400_000):
        asked = [an_sms_requested(recipient=RECIPIENT, request_id=str(at), valid_until=None)]
        [decision] = decided(gate.decide(asked, candidate, now_ms=at))
        assert decision.shadow is not None
        verdicts.append("NUMBER_REASSIGNED" in decision.shadow.reasons)
    assert verdicts == [False, True]


@pytest.mark.parametrize("spoil", ["no manifest", "a mistake", "no folder"])
def test_a_candidate_with_mistakes_is_told_and_is_none(tmp_path: Path, spoil: str) -> None:
    folder, telemetry = tmp_path / "candidate", Telemetry()
    shutil.copytree(PLAIN_POLICY, folder)
    holder = CandidatePolicy(folder, telemetry)
    first = holder.current
    assert first is not None
    assert telemetry.values(metrics.CANDIDATE_INFO) == {(first.policy.version,): 1.0}

    match spoil:
        case "no manifest":
            (folder / "policy.yaml").unlink()
        case "a mistake":
            (folder / "policy.yaml").write_text("name: [")
        case _:
            shutil.rmtree(folder)
    holder.reload()
    assert holder.current is None
    assert telemetry.values(metrics.CANDIDATE_INFO) == {("none",): 0.0}
    assert telemetry.values(metrics.CANDIDATE_REFUSALS)[()] == 1

    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(PACKS / "cn", folder)
    holder.reload()
    other = load_policy(folder).version
    assert telemetry.values(metrics.CANDIDATE_INFO) == {(other,): 1.0}
    assert holder.current


def test_not_even_a_loader_that_breaks_stops_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(folder: Path) -> Policy:
        raise MemoryError(folder)

    monkeypatch.setattr("streams.gate.shadow.load_policy", breaks)
    telemetry = Telemetry()
    assert CandidatePolicy(tmp_path, telemetry).current is None
    assert telemetry.values(metrics.CANDIDATE_ERRORS)[()] == 1
    assert telemetry.values(metrics.CANDIDATE_REFUSALS)[()] == 1


def test_without_a_folder_there_is_none_and_nothing_is_told() -> None:
    telemetry = Telemetry()
    assert CandidatePolicy(None, telemetry).current is None
    assert not telemetry.values(metrics.CANDIDATE_INFO)


# --- on a real Kafka ------------------------------------------------------------------------------


@pytest.mark.kafka
def test_a_gate_decides_as_before_beside_a_candidate_that_drops_everything(
    kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path
) -> None:
    folder = tmp_path / "candidate"
    folder.mkdir()
    for name, text in drops_all().files.items():
        (folder / name).write_text(text)
    bed = Bed(kafka.bootstrap_servers, topic_prefix, tmp_path)
    consenting, silent = a_number(1), a_number(2)
    bed.consent(a_consent_event(subject=consenting, occurred_at=now_ms() - 1000))
    bed.flush()
    dropped = Shadow(drops_all().version[:16], Outcome.DROPPED, ("NUMBER_REASSIGNED",))
    with bed.ready_gate(shadow_policy_dir=folder) as running:
        asking = Asking(bed, running)
        first = [asking.ask(consenting), asking.ask(silent)]
        assert [each.verdict for each in first] == [Outcome.ALLOWED, Outcome.DROPPED]
        assert [each.shadow for each in first] == [dropped, dropped]
        running.until(
            lambda: (
                running.telemetry.values(metrics.CANDIDATE_DECISIONS)
                == {
                    ("marketing", "ALLOWED", "DROPPED"): 1.0,
                    ("marketing", "DROPPED", "DROPPED"): 1.0,
                }
            ),
            what="for both to be counted",
        )

        (folder / "rules.yaml").write_text("rules: []")
        running.gate.reload()
        running.until(
            lambda: running.telemetry.values(metrics.CANDIDATE_REFUSALS)[()] == 1,
            what="for the mistake to be told",
        )
        assert running.health.readyz().ready
        without = asking.ask(consenting)
        assert (without.verdict, without.shadow) == (Outcome.ALLOWED, None)

        (folder / "rules.yaml").write_text(DROPS_ALL)
        running.gate.reload()
        running.until(
            lambda: (
                running.telemetry.values(metrics.CANDIDATE_INFO) == {(drops_all().version,): 1.0}
            ),
            what="for the candidate to be back",
        )
        back = asking.ask(consenting)
        assert (back.verdict, back.shadow) == (Outcome.ALLOWED, dropped)
        asking.close()
    assert len(bed.allowed()) == 3
