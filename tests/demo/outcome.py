"""A day and its sound outcome, without Kafka: which tests doctor to see a check fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from streams.audit.verify import PartitionReport
from streams.codec.codec import open_codecs
from streams.demo.acts import Act, Fate, Setting
from streams.demo.checks import Account
from streams.demo.day import Day, day_of
from streams.demo.outcomes import Place
from streams.demo.player import Played
from streams.demo.reading import DeadLettered, PassedOn, Written
from streams.kafka.placement import partition_of
from streams.policy.policy import load_policy
from streams.records.decisions import Outcome, QuarantinedSms, SmsDecision
from streams.records.events import ConsentEvent, Source
from streams.records.inbound import InboundSms, event_of_reply
from streams.records.requests import SmsRequested
from streams.sealing.subject_ids import SubjectIds
from streams.testing.records import NOON, a_quarantined_sms, a_withdrawal, an_sms_decision
from streams.topology import CONSENT_EVENTS, SMS_DECISIONS, SMS_REQUESTED

PARTITIONS = 4
RUN = 123_456
DEFAULT_VERSION = load_policy(Path(__file__).parents[2] / "policies" / "default").version


def a_setting(run: int = RUN, partitions: int = PARTITIONS) -> Setting:
    """The setting of a day at noon, with a subject-id key of zeros."""
    return Setting(run, NOON, partitions, open_codecs(), SubjectIds(bytes(32)))


def a_day(requests: int = 400, setting: Setting | None = None) -> Day:
    return day_of(setting or a_setting(), requests)


def played(day: Day, partitions: int = PARTITIONS) -> list[Played]:
    """
    Play a day in no time: each act is acknowledged before the next one is sent, and what a worker
    makes of it is there.
    """
    ends: dict[tuple[str, int], int] = {}
    there = []
    for step, act in enumerate(day.acts()):
        partition = _partition(act, partitions)
        offset = ends.get((act.topic.name, partition), 0)
        ends[act.topic.name, partition] = offset + 1
        there.append(Played(act, partition, offset, NOON + step, 10 * step, 10 * step + 5))
        if isinstance(act.record, InboundSms):
            there.append(_heard(act, partition, step))
    return there


def _heard(reply: Act, partition: int, step: int) -> Played:
    """What a worker makes of a STOP, as it could be read."""
    assert isinstance(reply.record, InboundSms)
    event = withdrawal_of(reply.record)
    act = Act(CONSENT_EVENTS, reply.key, b"", event, label=reply.causes)
    return Played(act, partition, step, NOON + step, 10 * step + 6, 10 * step + 6)


def withdrawal_of(reply: InboundSms) -> ConsentEvent:
    """The withdrawal of everything that a STOP comes to."""
    return a_withdrawal(
        event_id=event_of_reply(reply.message_id),
        subject=reply.sender,
        purpose=None,
        source=Source.INBOUND_SMS,
        occurred_at=reply.received_at,
    )


def sound_outcome(there: list[Played]) -> Written:
    """What a gate without a fault would write."""
    decisions: list[SmsDecision] = []
    passed_on: list[PassedOn] = []
    held: list[QuarantinedSms] = []
    dead_letters: list[DeadLettered] = []
    for each in there:
        expected, request = each.act.expected, each.act.record
        if expected is None:
            continue
        place = Place(SMS_REQUESTED.name, each.partition, each.offset)
        if expected.fate is Fate.DEAD_LETTERED:
            [cause] = expected.because
            dead_letters.append(DeadLettered(place, cause, each.act.key, each.act.value))
            continue
        assert isinstance(request, SmsRequested)
        allowed = expected.fate is Fate.ALLOWED
        decisions.append(
            an_sms_decision(
                decision_id=f"sms.requested-{each.partition}-{each.offset}-0",
                request_id=request.request_id,
                verdict=Outcome[expected.fate.value],
                basis=expected.because[0] if allowed else None,
                reasons=() if allowed else expected.because,
                purpose=request.purpose,
                policy_version=DEFAULT_VERSION,
                request_partition=each.partition,
                request_offset=each.offset,
            )
        )
        if allowed:
            passed_on.append(PassedOn(place, each.act.key, each.act.value, request))
        elif expected.fate is Fate.QUARANTINED:
            held.append(a_quarantined_sms(hold_id=f"{each.partition}-{each.offset}"))
    return Written(
        decisions=tuple(decisions),
        passed_on=tuple(passed_on),
        held=tuple(held),
        dead_letters=tuple(dead_letters),
        opaque=((Place(SMS_DECISIONS.name, 0, 0), b"\x00" * 100),),
        chains=(PartitionReport(SMS_DECISIONS.name, 0, len(decisions), 0, 0, None, None),),
    )


def an_account(**doctored: object) -> Account:
    """Account for a day of 400 requests whose sound outcome has these fields doctored."""
    there = played(a_day())
    return Account(there, replace(sound_outcome(there), **doctored))  # type: ignore[arg-type]


def _partition(act: Act, partitions: int) -> int:
    if act.partition is not None:
        return act.partition
    return partition_of(act.key or b"", partitions)
