"""The day as it is written, before anything is played."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from streams.contacts.splitting import Splitting
from streams.demo.acts import Act, Expected, Fate, Setting
from streams.demo.day import FEWEST_REQUESTS, Day, day_of
from streams.demo.eve import entries_of, zone_where_it_is
from streams.errors import NotE164, Undecodable
from streams.inbound import classify, load_lists
from streams.inbound.meaning import Meaning
from streams.kafka.placement import partition_of
from streams.policy.facts import assess
from streams.policy.policy import load_policy
from streams.policy.verdicts import Allow, Drop, Quarantine
from streams.records.contacts import ContactsUploaded
from streams.records.events import Campaign, ConsentEvent, ContactEntry, NameConsent
from streams.records.inbound import InboundSms
from streams.records.requests import SmsRequested
from streams.records.subject import SubjectState
from streams.resources import data_dir
from streams.state.broadcast import CampaignTable, NameConsentTable
from streams.state.fold import fold_consent
from streams.state.fold_contacts import fold_contact
from streams.state.unreadable import mark_undecodable
from streams.testing.records import NOON
from streams.topology import CONSENT_EVENTS, DAY_MS, HOUR_MS, MINUTE_MS, SMS_REQUESTED
from tests.demo.outcome import PARTITIONS, a_day, a_setting, withdrawal_of

KEYWORDS = load_lists(data_dir("keywords"))
POLICY = load_policy(data_dir("policies") / "default")
MIDNIGHT = NOON // DAY_MS * DAY_MS


def test_the_same_setting_size_and_seed_give_the_same_bytes() -> None:
    one, other = a_day(), a_day()
    assert _bytes(one) == _bytes(other)
    assert _bytes(day_of(a_setting(), 400, seed=2)) != _bytes(one)


@pytest.mark.parametrize("requests", [FEWEST_REQUESTS, 1000])
def test_a_day_has_as_many_requests_as_asked_for_and_each_is_expected_to_end(requests: int) -> None:
    acts = a_day(requests).acts()
    asked = [act for act in acts if act.topic is SMS_REQUESTED]
    assert len(asked) == requests
    assert all((act.expected is not None) is (act.topic is SMS_REQUESTED) for act in acts)
    assert {act.expected.fate for act in asked if act.expected} == set(Fate)


def test_the_smallest_day_has_every_way_to_end_that_a_large_one_has() -> None:
    small, large = (
        {act.expected for act in a_day(requests).acts() if act.expected}
        for requests in (FEWEST_REQUESTS, 5000)
    )
    assert small == large


def test_the_case_is_played_once_with_36_friends_by_name() -> None:
    day = a_day()
    [case] = [act for act in day.steady if _request_id(act) == day.case_id]
    assert isinstance(case.record, SmsRequested)
    assert len(case.record.named_persons) == 36
    assert all(friend.name in case.record.body for friend in case.record.named_persons)
    assert case.expected is not None
    assert case.expected.fate is Fate.DROPPED
    assert len(case.expected.because) == 9


def test_what_waits_for_an_acknowledgement_waits_for_something_that_came_before() -> None:
    seen: set[str] = set()
    waiting = 0
    for act in a_day(1000).acts():
        if act.after is not None:
            waiting += act.topic is SMS_REQUESTED
            assert act.after in seen
        for name in (act.label, act.causes):
            assert name is None or name not in seen
            seen.add(name or "")
    assert waiting >= 20


def test_no_two_messages_have_the_same_text() -> None:
    bodies = [act.record.body for act in a_day(1000).acts() if isinstance(act.record, SmsRequested)]
    assert len(set(bodies)) == len(bodies)


def test_with_one_partition_nothing_is_misplaced() -> None:
    day = a_day(400, a_setting(partitions=1))
    causes = Counter(
        act.expected.because
        for act in day.acts()
        if act.expected and act.expected.fate is Fate.DEAD_LETTERED
    )
    assert ("misplaced",) not in causes
    assert {act.partition for act in day.acts()} <= {None, 0}


def test_a_day_too_small_or_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="requests"):
        day_of(a_setting(), FEWEST_REQUESTS - 1)


@pytest.mark.parametrize("hour", range(24))
@pytest.mark.parametrize("days", [0, 3], ids=["Thursday", "Sunday"])
def test_what_the_day_expects_is_what_the_default_policy_says_at_every_hour(
    days: int, hour: int
) -> None:
    setting = replace(a_setting(), now_ms=MIDNIGHT + days * DAY_MS + hour * HOUR_MS)
    day = a_day(FEWEST_REQUESTS, setting)
    assert _outcomes_without_kafka(setting, day) == [
        act.expected for act in day.acts() if act.expected
    ]


def test_what_a_long_day_expects_is_what_the_default_policy_says_until_its_end() -> None:
    """Half an hour after a day began that began when an hour was nearly over."""
    setting = replace(a_setting(), now_ms=MIDNIGHT + 59 * MINUTE_MS)
    day = a_day(1000, setting)
    assert _outcomes_without_kafka(setting, day, taking_ms=30 * MINUTE_MS) == [
        act.expected for act in day.acts() if act.expected
    ]


def test_it_is_noon_and_night_somewhere_whatever_the_hour() -> None:
    for half_hours in range(48):
        now = datetime.fromtimestamp((MIDNIGHT + half_hours * HOUR_MS // 2) / 1000, UTC)
        for hour in (3, 12):
            zone = zone_where_it_is(hour, int(now.timestamp() * 1000))
            assert now.astimezone(ZoneInfo(zone)).hour == hour


@pytest.mark.parametrize("requests", [FEWEST_REQUESTS, 1000, 5000])
def test_nobody_gets_so_many_messages_that_the_default_policy_holds_the_next(
    requests: int,
) -> None:
    passed = [
        act.record
        for act in a_day(requests).acts()
        if isinstance(act.record, SmsRequested)
        and act.expected is not None
        and act.expected.fate is Fate.ALLOWED
    ]
    caps = POLICY.caps.declared
    assert {purpose for cap in caps for purpose in cap.purposes} == {"marketing", "invite"}
    for cap in caps:
        counted = Counter(
            (each.recipient, *(getattr(each, f"{part}_id") for part in cap.per))
            for each in passed
            if each.purpose in cap.purposes
        )
        most = max(counted.values())
        assert most < cap.most, "what else the person is sent would be held for FREQUENCY too"


def _outcomes_without_kafka(setting: Setting, day: Day, taking_ms: int = 0) -> list[Expected]:
    """Fold the day and decide it in order, each request ``taking_ms`` after it was asked."""
    states: dict[bytes, SubjectState] = {}
    names, campaigns = NameConsentTable(), CampaignTable(setting.subject_ids.of)
    ends = []
    for offset, act in enumerate(day.acts()):
        at = setting.now_ms + offset
        match act.record:
            case ConsentEvent() as event if act.topic is CONSENT_EVENTS:
                subject_id = setting.subject_ids.of(event.subject)
                before = states.get(subject_id, SubjectState(subject_id))
                folded = fold_consent(before, event, offset=offset, appended_at=at, placed=True)
                states[subject_id] = folded.state
            case ContactsUploaded() as upload:
                entries = _split(setting, upload)
                assert [entry.entry_id for entry in entries] == entries_of(act)
                for entry in entries:
                    before = states.get(entry.subject_id, SubjectState(entry.subject_id))
                    states[entry.subject_id] = fold_contact(
                        before, entry, appended_at=at, kept_days=30
                    )
            case InboundSms() as reply:
                assert classify(reply.body, None, KEYWORDS).meaning is Meaning.STOP
                subject_id = setting.subject_ids.of(reply.sender)
                event = withdrawal_of(reply)
                folded = fold_consent(
                    states[subject_id], event, offset=offset, appended_at=at, placed=True
                )
                states[subject_id] = folded.state
            case NameConsent() as consent:
                names.apply(consent.subject, consent)
            case Campaign() as campaign:
                campaigns.apply(campaign)
            case None if act.topic is CONSENT_EVENTS and act.key is not None:
                subject_id = setting.subject_ids.of(act.key.decode())
                before = states.get(subject_id, SubjectState(subject_id))
                states[subject_id] = mark_undecodable(before, offset=offset)
        if act.expected is not None:
            ends.append(_end(setting, act, states, names, campaigns, at + taking_ms))
    return ends


def _split(setting: Setting, upload: ContactsUploaded) -> list[ContactEntry]:
    splitting = Splitting(
        upload,
        appended_at=upload.uploaded_at,
        subject_id=setting.subject_ids.of,
        partition=lambda number: partition_of(number.encode(), PARTITIONS),
        keep_days=30,
        contact_purposes=("contact_a_friend",),
    )
    entries = [entry for piece in splitting.pieces() for entry in piece]
    counts = splitting.counts
    assert (counts.invalid, counts.duplicates, counts.own_number) == (1, 1, 1)
    return entries


def _end(
    setting: Setting,
    act: Act,
    states: dict[bytes, SubjectState],
    names: NameConsentTable,
    campaigns: CampaignTable,
    now_ms: int,
) -> Expected:
    try:
        request = setting.codecs.requests.decode(act.value)
    except Undecodable as error:
        return Expected(Fate.DEAD_LETTERED, (error.cause,))
    cause = _misfit(act, request)
    if cause is not None:
        return Expected(Fate.DEAD_LETTERED, (cause,))
    state = states.get(setting.subject_ids.of(request.recipient))
    match POLICY.decide(
        assess(
            request,
            state,
            names,
            campaigns,
            now_ms,
            POLICY.registers,
            POLICY.confirming,
            lapses=POLICY.lapses,
        )
    ):
        case Allow(basis):
            return Expected(Fate.ALLOWED, (basis,))
        case Drop(reasons):
            return Expected(Fate.DROPPED, tuple(reason.value for reason in reasons))
        case Quarantine() as verdict:
            because = tuple(reason.value for reason in verdict.reasons)
            return Expected(Fate.QUARANTINED, because)


def _misfit(act: Act, request: SmsRequested) -> str | None:
    if not request.recipient.startswith("+"):
        return NotE164.cause
    if act.key != request.recipient.encode():
        return "key_mismatch"
    if act.partition not in (None, partition_of(act.key, PARTITIONS)):
        return "misplaced"
    return None


def _bytes(day: Day) -> list[tuple[bytes | None, bytes | None, int | None]]:
    return [(act.key, act.value, act.partition) for act in day.acts()]


def _request_id(act: Act) -> str | None:
    return act.record.request_id if isinstance(act.record, SmsRequested) else None
