"""A real gate's decisions, derived again: all agree, and whatever is changed shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import Message
from typer.testing import CliRunner

from streams.audit.opening import open_history
from streams.audit.replay import ReplayReport, replay_partition, replay_topics
from streams.audit.seen import Gap, Why
from streams.audit.topic_log import Extent, Progress, TopicLog
from streams.cli.main import app
from streams.errors import DecisionsDiffer
from streams.records.decisions import Outcome, SmsDecision
from streams.records.events import ConsentKind
from streams.state.arrivals import offset_of
from streams.topology import (
    CAMPAIGNS,
    CONSENT_EVENTS,
    CONTACTS_ENTRIES,
    NAMES_CONSENTS,
    SMS_DECISIONS,
    SMS_REQUESTED,
    Topic,
)
from tests.audit.recorded_day import RecordedDay

pytestmark = pytest.mark.kafka

Change = Callable[[Topic, Message], bool]


def changed_log(change: Change, starts: dict[Topic, int] | None = None) -> type[TopicLog]:
    """Make a log in which ``change`` may alter each record, or leave it out by saying false."""

    class ChangedLog(TopicLog):
        def extent(self, topic: Topic, partition: int) -> Extent:
            found = super().extent(topic, partition)
            return Extent(min(found.end, (starts or {}).get(topic, found.start)), found.end)

        def read(
            self,
            topic: Topic,
            partition: int,
            start: int,
            end: int,
            progress: Progress = lambda offsets: None,
        ) -> Iterator[Message]:
            for message in super().read(topic, partition, start, end, progress):
                if change(topic, message):
                    yield message

    return ChangedLog


def as_it_is(topic: Topic, message: Message) -> bool:
    return True


def replayed(day: RecordedDay, partition: int, log: type[TopicLog] = TopicLog) -> ReplayReport:
    with open_history(day.bed.settings, partition, open_log=log) as (history, archive):
        return replay_partition(history, partition, archive, 0, None, lambda done: None)


def decisions_of(day: RecordedDay, partition: int) -> list[SmsDecision]:
    """All but those by which a hold was dropped unread: of them nothing can be derived."""
    return [
        each for each in day.bed.decisions() if each.request_partition == partition and each.facts
    ]


def gone(report: ReplayReport) -> Counter[str]:
    """Why decisions cannot be derived that could be if nothing was gone."""
    return Counter({why: n for why, n in report.underivable.items() if why != Why.UNREAD.value})


def fields_of(report: ReplayReport) -> dict[int, list[str]]:
    return {each.sequence: sorted(each.fields) for each in report.differences}


def test_every_decision_of_a_gate_is_derived_again_and_agrees(recorded_day: RecordedDay) -> None:
    day = recorded_day
    reports = replay_topics(day.bed.settings, [0, 1], 0, None, 2)

    assert [report.differing for report in reports] == [0, 0]
    assert [gone(report) for report in reports] == [Counter(), Counter()]
    decisions = decisions_of(day, 0) + decisions_of(day, 1)
    assert sum(report.agreeing for report in reports) == len(decisions) > day.requests
    unread = len(day.bed.decisions()) - len(decisions)
    assert sum(report.underivable.total() for report in reports) == unread
    # The day has something of everything, else that would say little.
    assert {each.attempt for each in decisions} >= {0, 1}
    assert {each.verdict for each in decisions} == set(Outcome)
    assert len({each.policy_version for each in decisions}) == 2
    said = {(fact, value) for each in decisions for fact, value in each.facts.items()}
    assert said >= {
        ("state", "UNDECODABLE"),
        ("consent", "GRANTED"),
        ("consent", "EXPIRED"),
        ("consent", "WITHDRAWN"),
        ("erasure", "ERASED"),
        ("campaign", "PAUSED"),
        ("names", "CONSENTED"),
        ("names", "UNCONSENTED"),
        ("repetition", "REPEATED"),
        ("answer", "REPEATED"),
        ("referral", "FIRST"),
        ("upload", "MANDATORY"),
    }


def test_the_command_says_what_agrees_and_ends_with_its_own_status(
    recorded_day: RecordedDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = recorded_day.bed.folder / "consent-gate.yaml"
    config.write_text(recorded_day.config(), "utf-8")
    args = ["--config", str(config), "replay", "--partition", "0", "--jobs", "1"]

    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.output
    assert "0 differ" in result.output

    first = decisions_of(recorded_day, 0)[0].sequence
    log = changed_log(decisions_changed(recorded_day, {first: {"sender_id": "ELSE"}}))
    monkeypatch.setattr("streams.audit.replay.open_history", opened_with(log))
    failed = CliRunner().invoke(app, args)
    assert isinstance(failed.exception, DecisionsDiffer)
    assert failed.exception.exit_code == 16
    assert "sender_id: another one" in failed.output
    assert "ELSE" not in failed.output


def opened_with(log: type[TopicLog]) -> Callable[..., Any]:
    return lambda settings, partition: open_history(settings, partition, open_log=log)


# ------------------------------------------------------------------------------- what is changed


def decisions_changed(day: RecordedDay, changes: dict[int, dict[str, Any]]) -> Change:
    """Change the decisions of these sequences, each in its own way."""
    codec = day.bed.codecs.decisions

    def change(topic: Topic, message: Message) -> bool:
        if topic == SMS_DECISIONS:
            decision = codec.decode(message.value())
            if decision.sequence in changes:
                changed = replace(decision, **changes[decision.sequence])
                message.set_value(codec.encode(changed))
        return True

    return change


def test_every_changed_stamp_is_found_and_nothing_else(recorded_day: RecordedDay) -> None:
    stamps = ("consent_offset", "contacts_offset", "request_offset")
    first = [each for each in decisions_of(recorded_day, 1) if each.attempt == 0]
    apart = iter(first[20::10])
    changes = {}
    for stamp in stamps:
        for by in (1, -1, 40, -40):
            chosen = next(apart)
            changes[chosen.sequence] = {stamp: getattr(chosen, stamp) + by}

    report = replayed(recorded_day, 1, changed_log(decisions_changed(recorded_day, changes)))
    assert list(fields_of(report)) == list(changes)


def test_every_changed_field_of_a_decision_is_found(recorded_day: RecordedDay) -> None:
    allowed = [each for each in decisions_of(recorded_day, 0) if each.verdict is Outcome.ALLOWED]
    changed: list[dict[str, Any]] = [
        {"verdict": Outcome.DROPPED},
        {"reasons": ("SUPPRESSED",)},
        {"basis": "ANOTHER"},
        {"consent_event_id": "another"},
        {"hold_until": 1},
        {"request_id": "another"},
        {"campaign_id": "another"},
        {"sender_id": "another"},
        {"template_id": "another"},
        {"subject_id": bytes(16)},
    ]
    # The last ones: what a message has changed of its person matters to later ones.
    chosen = allowed[-len(changed) :]
    changes = {each.sequence: how for each, how in zip(chosen, changed, strict=True)}

    found = fields_of(
        replayed(recorded_day, 0, changed_log(decisions_changed(recorded_day, changes)))
    )
    assert {each: found[each] for each in changes} == {
        sequence: list(how) for sequence, how in changes.items()
    }


def test_a_changed_fact_is_found(recorded_day: RecordedDay) -> None:
    chosen = decisions_of(recorded_day, 0)[-1]
    facts = chosen.facts | {"member": "NO" if chosen.facts["member"] == "YES" else "YES"}
    log = changed_log(decisions_changed(recorded_day, {chosen.sequence: {"facts": facts}}))

    report = replayed(recorded_day, 0, log)
    assert fields_of(report) == {chosen.sequence: ["facts.member"]}


def test_a_consent_that_was_put_in_the_place_of_a_stop_is_found(recorded_day: RecordedDay) -> None:
    """Every decision that the stop had changed differs, and no other."""
    codec, number = recorded_day.bed.codecs.consent_events, recorded_day.person(0)
    partition = recorded_day.bed.partition(number)

    def change(topic: Topic, message: Message) -> bool:
        if topic == CONSENT_EVENTS and message.key() == number.encode():
            event = codec.decode(message.value())
            if event.kind is ConsentKind.WITHDRAWN:
                event = replace(event, kind=ConsentKind.GRANTED, purpose="invite")
                message.set_value(codec.encode(event))
        return True

    report = replayed(recorded_day, partition, changed_log(change))
    subject_id = recorded_day.bed.keyring.subject_ids.of(number)
    since = [
        each.sequence
        for each in decisions_of(recorded_day, partition)
        if each.subject_id == subject_id and each.facts["suppression"] == "ALL"
    ]
    assert since
    assert list(fields_of(report)) == since


def left_out(topic: Topic, *offsets: int) -> Change:
    return lambda of, message: of != topic or offset_of(message) not in offsets


# -------------------------------------------------------------------------------- what is gone


def test_what_cannot_be_derived_is_never_counted_as_agreeing(recorded_day: RecordedDay) -> None:
    decisions = decisions_of(recorded_day, 0)
    middle = decisions[len(decisions) // 2].request_offset
    log = changed_log(as_it_is, {SMS_REQUESTED: middle})

    report = replayed(recorded_day, 0, log)
    before = sum(each.request_offset < middle for each in decisions)
    assert report.differing == 0
    assert report.underivable[Why.REQUEST_GONE.value] == before
    assert report.follows == gone(report).total() >= before
    assert report.agreeing == len(decisions) - report.follows


def test_a_verdict_that_does_not_follow_from_its_own_facts_is_found_without_its_request(
    recorded_day: RecordedDay,
) -> None:
    decisions = decisions_of(recorded_day, 0)
    chosen = next(each for each in decisions if each.verdict is Outcome.DROPPED)
    allowed = {"verdict": Outcome.ALLOWED, "reasons": (), "basis": "EXPRESS"}
    change = decisions_changed(recorded_day, {chosen.sequence: allowed})
    end = max(each.request_offset for each in decisions) + 1
    log = changed_log(change, {SMS_REQUESTED: end})

    report = replayed(recorded_day, 0, log)
    assert fields_of(report) == {chosen.sequence: ["basis", "reasons", "verdict"]}
    assert report.agreeing == 0


@pytest.mark.parametrize("partition", [0, 1])
def test_the_ledger_stands_for_consent_events_that_are_gone(
    recorded_day: RecordedDay, partition: int
) -> None:
    """All but what an event that nobody could read had caused: it is not in the ledger."""
    decisions = decisions_of(recorded_day, partition)
    log = changed_log(as_it_is, {CONSENT_EVENTS: decisions[-1].consent_offset})

    report = replayed(recorded_day, partition, log)
    undecodable = sum(each.facts["state"] == "UNDECODABLE" for each in decisions)
    assert report.differing == 0
    assert gone(report).total() == undecodable
    assert report.agreeing == len(decisions) - undecodable


def test_a_compacted_table_is_told_only_of_whom_it_may_matter_to(recorded_day: RecordedDay) -> None:
    """The pause and the consent to be named were written over since."""
    log = changed_log(
        lambda topic, message: (
            left_out(CAMPAIGNS, 0)(topic, message) and left_out(NAMES_CONSENTS, 0)(topic, message)
        )
    )

    report = replayed(recorded_day, 0, log)
    assert report.differing == 0
    assert {why.partition(" ")[0] for why in gone(report)} == {"campaigns", "names.consents"}
    named = sum(each.facts["names"] != "NONE" for each in decisions_of(recorded_day, 0))
    autumn = sum(each.campaign_id == "autumn" for each in decisions_of(recorded_day, 0))
    assert 0 < gone(report).total() <= named + autumn


def test_address_books_that_are_gone_are_no_difference(recorded_day: RecordedDay) -> None:
    decisions = decisions_of(recorded_day, 0)
    log = changed_log(as_it_is, {CONTACTS_ENTRIES: decisions[-1].contacts_offset})

    report = replayed(recorded_day, 0, log)
    assert report.differing == 0
    assert list(gone(report)) == [Gap.CONTACTS.text]
    uploaded = sum(each.facts["upload"] != "NOT_UPLOADED" for each in decisions)
    assert gone(report).total() == uploaded
