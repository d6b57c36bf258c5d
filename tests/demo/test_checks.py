"""Each check holds on a sound outcome, and not on one that was doctored against it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from streams.audit.diagnosis import Damage
from streams.audit.verify import Finding, PartitionReport
from streams.demo import checks
from streams.demo.acts import Fate, allowed
from streams.demo.checks import Account, Invariant
from streams.demo.outcomes import Place
from streams.demo.player import Played
from streams.demo.reading import PassedOn, Written
from streams.records.decisions import Outcome, SmsDecision
from streams.records.events import ConsentEvent
from streams.records.requests import SmsRequested
from streams.topology import SMS_DECISIONS, SMS_QUARANTINED, SMS_REQUESTED
from tests.demo.outcome import DEFAULT_VERSION, a_day, played, sound_outcome

THERE = played(a_day())
SOUND = sound_outcome(THERE)
DROPPED = next(d for d in SOUND.decisions if d.verdict is Outcome.DROPPED)


def account(there: list[Played] = THERE, **doctored: object) -> Account:
    return Account(there, replace(SOUND, **doctored))  # type: ignore[arg-type]


def as_the_policy_says(doctored: Account) -> Invariant:
    return checks.as_the_policy_says(doctored, DEFAULT_VERSION)


def test_everything_holds_on_a_sound_outcome() -> None:
    found = checks.check(account(), DEFAULT_VERSION)
    assert [(each.name, each.holds, each.broken) for each in found] == [
        (each.name, True, ()) for each in found
    ]
    assert len(found) == 9


# --------------------------------------------------------------------------- exactly one outcome


def test_a_request_without_outcome_is_found() -> None:
    lost, *rest = SOUND.decisions
    found = checks.one_outcome(account(decisions=tuple(rest)))
    assert found.holds is False
    assert found.broken == (str(checks.place_of(lost)),)


def test_a_request_that_was_decided_twice_is_found() -> None:
    twice = SOUND.decisions[3]
    found = checks.one_outcome(account(decisions=(*SOUND.decisions, twice)))
    assert found.broken == (str(checks.place_of(twice)),)


def test_a_request_that_was_decided_and_dead_lettered_is_found() -> None:
    place = checks.place_of(DROPPED)
    letter = replace(SOUND.dead_letters[0], place=place)
    found = checks.one_outcome(account(dead_letters=(*SOUND.dead_letters, letter)))
    assert found.broken == (str(place),)


def test_a_message_that_was_passed_on_twice_is_found() -> None:
    copy = SOUND.passed_on[0]
    found = checks.one_outcome(account(passed_on=(*SOUND.passed_on, copy)))
    assert found.broken == (str(copy.place),)


def test_a_held_message_without_its_hold_is_found() -> None:
    missing, *rest = SOUND.held
    found = checks.one_outcome(account(held=tuple(rest)))
    assert found.holds is False
    assert missing.hold_id.replace("-", " offset ") in found.broken[0]


def test_a_dropped_message_that_was_passed_on_all_the_same_is_found() -> None:
    copy = replace(SOUND.passed_on[0], place=checks.place_of(DROPPED))
    found = checks.one_outcome(account(passed_on=(*SOUND.passed_on, copy)))
    assert found.broken == (str(copy.place),)


def test_a_hold_that_was_decided_again_is_one_outcome() -> None:
    hold = next(d for d in SOUND.decisions if d.verdict is Outcome.QUARANTINED)
    again = replace(hold, attempt=1, verdict=Outcome.DROPPED)
    assert checks.one_outcome(account(decisions=(*SOUND.decisions, again))).holds


def test_what_others_do_on_the_same_cluster_does_not_matter() -> None:
    elsewhere = Place(SMS_REQUESTED.name, 0, 10**6)
    foreign = replace(SOUND.decisions[0], request_offset=10**6)
    found = checks.check(
        account(
            decisions=(*SOUND.decisions, foreign),
            passed_on=(*SOUND.passed_on, PassedOn(elsewhere, b"k", b"v", None)),
            dead_letters=(*SOUND.dead_letters, replace(SOUND.dead_letters[0], place=elsewhere)),
        ),
        DEFAULT_VERSION,
    )
    assert all(each.holds for each in found)


def test_decisions_are_counted() -> None:
    found = checks.decisions_counted(account(decisions=SOUND.decisions[1:]))
    assert found.holds is False
    assert "is not" in found.told


# ------------------------------------------------------------------------------- bytes and STOPs


@pytest.mark.parametrize("field", ["key", "value"])
def test_a_message_that_was_changed_on_its_way_is_found(field: str) -> None:
    first, *rest = SOUND.passed_on
    changed = replace(first, **{field: b"other"})
    found = checks.bytes_untouched(account(passed_on=(changed, *rest)))
    assert found.broken == (str(first.place),)


def test_a_dead_letter_that_was_changed_is_found() -> None:
    first, *rest = SOUND.dead_letters
    changed = replace(first, value=(first.value or b"") + b"!")
    found = checks.bytes_untouched(account(dead_letters=(changed, *rest)))
    assert found.broken == (str(first.place),)


def test_a_message_that_passed_after_a_stop_is_found() -> None:
    sent = next(each for each in THERE if each.act.expected and each.act.after)
    found = checks.withdrawals_honoured(_passed(sent))
    assert found.broken == (str(_place(sent)),)
    assert "ms after it" in found.told


def test_a_message_that_was_sent_before_the_stop_was_acknowledged_may_pass() -> None:
    sent = next(each for each in THERE if each.act.expected and each.act.after)
    there = [
        replace(each, acknowledged_ns=sent.sent_ns + 1)
        if each.act.label is not None and each.act.label == sent.act.after
        else each
        for each in THERE
    ]
    assert checks.withdrawals_honoured(_passed(sent, there)).holds


def test_a_password_that_is_asked_for_may_pass_after_a_stop() -> None:
    stopped = {
        each.act.record.subject
        for each in THERE
        if isinstance(each.act.record, ConsentEvent) and each.act.record.kind.name == "WITHDRAWN"
    }
    passwords = [
        each
        for each in THERE
        if isinstance(each.act.record, SmsRequested)
        and each.act.record.recipient in stopped
        and each.act.expected == allowed("eu/requested-by-recipient")
    ]
    assert passwords
    assert checks.withdrawals_honoured(account()).holds


def test_a_stop_that_was_confirmed_twice_is_found() -> None:
    request_id = next(each.act.causes for each in THERE if each.act.causes)
    once = replace(SOUND.decisions[0], request_id=request_id, verdict=Outcome.ALLOWED)
    other = replace(once, request_offset=once.request_offset + 1)
    confirmed = checks.stops_confirmed_once(account(decisions=(*SOUND.decisions, once)))
    assert confirmed.holds
    assert ", 1 confirmed" in confirmed.told
    twice = checks.stops_confirmed_once(account(decisions=(*SOUND.decisions, once, other)))
    assert twice.holds is False
    assert twice.broken == (request_id,)


# --------------------------------------------------------------------------- what can be read


@pytest.mark.parametrize("fate", [Fate.DROPPED, Fate.QUARANTINED])
def test_the_text_of_a_message_that_was_kept_back_is_found_in_what_the_gate_wrote(
    fate: Fate,
) -> None:
    body = _a_request(fate).body.encode()
    where = Place(SMS_QUARANTINED.name, 2, 7)
    found = checks.held_and_dropped_unreadable(
        account(opaque=(*SOUND.opaque, (where, b"\x01" + body + b"\x02"), *SOUND.opaque))
    )
    assert str(where) in found.broken


def test_the_text_of_a_dropped_message_is_found_in_another_that_was_passed_on() -> None:
    first, *rest = SOUND.passed_on
    assert first.request is not None
    smuggled = replace(first, request=replace(first.request, body=_a_request(Fate.DROPPED).body))
    found = checks.held_and_dropped_unreadable(account(passed_on=(smuggled, *rest)))
    assert found.broken == (str(first.place),)


@pytest.mark.parametrize("cut", [0, 1])
def test_a_number_is_found_with_and_without_its_plus(cut: int) -> None:
    number = _a_request(Fate.DROPPED).recipient[cut:].encode()
    where = Place(SMS_DECISIONS.name, 1, 3)
    found = checks.nobody_named(account(opaque=(*SOUND.opaque, (where, b"k" + number))))
    assert found.broken == (str(where),)


def test_a_surname_is_found() -> None:
    person = next(r for r in map(_request, THERE) if r and r.named_persons).named_persons[0]
    where = Place(SMS_DECISIONS.name, 1, 3)
    surname = person.name.split()[1].encode()
    found = checks.nobody_named(account(opaque=(*SOUND.opaque, (where, surname))))
    assert found.broken == (str(where),)


# ------------------------------------------------------------------------------ chain and policy


def test_a_broken_chain_is_found() -> None:
    text = "sms.decisions partition 0: sequence 4 (offset 9) was changed: its hash does not fit."
    finding = Finding(Damage.CHANGED, SMS_DECISIONS.name, 0, 9, 4, None, text)
    report = PartitionReport(SMS_DECISIONS.name, 0, 4, 0, 0, None, finding)
    found = checks.chain_unbroken(account(chains=(report,)))
    assert found.holds is False
    assert found.broken == (text,)


def test_a_chain_without_a_record_proves_nothing() -> None:
    assert checks.chain_unbroken(account(chains=())).holds is False


@pytest.mark.parametrize(
    "change",
    [
        lambda d: replace(d, reasons=("NO_BASIS",)),
        lambda d: replace(d, reasons=(*d.reasons, "NO_BASIS")),
        lambda d: replace(d, verdict=Outcome.QUARANTINED),
    ],
)
def test_an_outcome_that_the_policy_does_not_give_is_found(
    change: Callable[[SmsDecision], SmsDecision],
) -> None:
    changed = tuple(change(d) if d is DROPPED else d for d in SOUND.decisions)
    found = as_the_policy_says(account(decisions=changed))
    assert found.broken == (str(checks.place_of(DROPPED)),)


def test_another_policy_is_not_compared() -> None:
    other = tuple(replace(d, policy_version="another", reasons=()) for d in SOUND.decisions)
    found = as_the_policy_says(account(decisions=other))
    assert found.holds is None


def _passed(sent: Played, there: list[Played] = THERE) -> Account:
    """Account for an outcome in which this request was passed on."""
    copy = PassedOn(_place(sent), sent.act.key, sent.act.value, None)
    written: Written = replace(SOUND, passed_on=(*SOUND.passed_on, copy))
    return Account(there, written)


def _place(sent: Played) -> Place:
    return Place(SMS_REQUESTED.name, sent.partition, sent.offset)


def _request(sent: Played) -> SmsRequested | None:
    return sent.act.record if isinstance(sent.act.record, SmsRequested) else None


def _a_request(fate: Fate) -> SmsRequested:
    return next(
        request
        for each in THERE
        if each.act.expected and each.act.expected.fate is fate and (request := _request(each))
    )
