"""
The guarantees, checked on what went in and what came out. Pure.

No check rests on the gate's own counting: each compares the records that were played, and when
Kafka acknowledged them, with the records that can be read. What breaks one is named by topic,
partition and offset.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median
from typing import NamedTuple, TypeVar

from streams.contacts.numbers import as_e164
from streams.demo.acts import Fate
from streams.demo.outcomes import Place
from streams.demo.player import Played
from streams.demo.reading import Written
from streams.policy.readings import ASKED_FOR
from streams.records.contacts import ContactsUploaded
from streams.records.decisions import Outcome, SmsDecision
from streams.records.events import ConsentEvent, ConsentKind, Source
from streams.records.requests import SmsRequested
from streams.topology import SMS_REQUESTED

_SHOWN = 5
"""How many of the records that break an invariant are named."""

_PIECE = 16
"""Bytes of a text that are enough to call it readable. Random bytes have them by no chance."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """
    One thing that must hold.

    ``told`` says what was counted, ``broken`` which records break it, the first few of them.
    ``holds`` is None where there was nothing to compare with.
    """

    name: str
    text: str
    holds: bool | None
    told: str
    broken: tuple[str, ...] = ()


class Account:
    """Requests that were played and what was written about each, by the request's place."""

    def __init__(self, played: Sequence[Played], written: Written) -> None:
        self.played = played
        self.written = written
        self.requests = {
            Place(SMS_REQUESTED.name, each.partition, each.offset): each
            for each in played
            if each.act.topic is SMS_REQUESTED
        }
        # A hold may be decided again, as a later attempt: that is no second outcome.
        first = [decision for decision in written.decisions if decision.attempt == 0]
        self.decisions = self._by_place((place_of(decision), decision) for decision in first)
        self.passed_on = self._by_place((each.place, each) for each in written.passed_on)
        self.dead = self._by_place((letter.place, letter) for letter in written.dead_letters)
        self.held = self._by_place((_place_of_hold(hold.hold_id), hold) for hold in written.held)

    def fate(self, place: Place) -> Fate | None:
        """Give how a request ended; None if not in exactly one way."""
        decisions, dead = self.decisions.get(place, []), self.dead.get(place, [])
        if len(decisions) + len(dead) != 1:
            return None
        fate = Fate.of(decisions[0].verdict) if decisions else Fate.DEAD_LETTERED
        copies = (len(self.passed_on.get(place, [])), len(self.held.get(place, [])))
        return fate if copies == (fate is Fate.ALLOWED, fate is Fate.QUARANTINED) else None

    def because(self, place: Place) -> tuple[str, ...]:
        """Give the basis or the reasons of a request's decision, or its dead letter's cause."""
        if place in self.dead:
            return (self.dead[place][0].cause,)
        if place not in self.decisions:
            return ()
        decision = self.decisions[place][0]
        return decision.reasons if decision.basis is None else (decision.basis,)

    def fates(self) -> Counter[Fate]:
        """Count how requests ended, leaving out those that did not end in exactly one way."""
        return Counter(fate for place in self.requests if (fate := self.fate(place)) is not None)

    def _by_place(self, records: Iterable[tuple[Place | None, _R]]) -> dict[Place, list[_R]]:
        """File the records about our own requests; those of others are left out."""
        filed: dict[Place, list[_R]] = defaultdict(list)
        for place, record in records:
            if place is not None and place in self.requests:
                filed[place].append(record)
        return dict(filed)


def check(account: Account, default_version: str) -> list[Invariant]:
    """
    Check everything. ``default_version`` is the default policy's: where another one decided, what
    the day expects is not compared.
    """
    return [
        one_outcome(account),
        decisions_counted(account),
        bytes_untouched(account),
        withdrawals_honoured(account),
        stops_confirmed_once(account),
        held_and_dropped_unreadable(account),
        nobody_named(account),
        chain_unbroken(account),
        as_the_policy_says(account, default_version),
    ]


def one_outcome(account: Account) -> Invariant:
    """I2: allowed, quarantined, dropped or dead-lettered: exactly one of them, and exactly once."""
    broken = [place for place in account.requests if account.fate(place) is None]
    fates = account.fates()
    told = ", ".join(f"{fates[fate]:,} {_WORDS[fate]}" for fate in Fate)
    return _invariant(
        "one_outcome",
        "Every request has exactly one outcome",
        f"{len(account.requests):,} requests: {told}",
        broken,
    )


def decisions_counted(account: Account) -> Invariant:
    """I2, by the numbers: a decision for each request, but for those that nobody can judge."""
    requests, decisions = len(account.requests), sum(map(len, account.decisions.values()))
    dead = sum(map(len, account.dead.values()))
    return Invariant(
        "decisions_counted",
        "As many decisions as requests, less the dead letters",
        decisions == requests - dead,
        f"{decisions:,} = {requests:,} - {dead:,}"
        if decisions == requests - dead
        else f"{decisions:,} is not {requests:,} - {dead:,}",
    )


def bytes_untouched(account: Account) -> Invariant:
    """What is passed on or dead-lettered has key and value as they came."""
    copies = [
        (place, copy)
        for filed in (account.passed_on, account.dead)
        for place, records in filed.items()
        for copy in records
    ]
    broken = []
    for place, copy in copies:
        act = account.requests[place].act
        if (copy.key, copy.value) != (act.key, act.value):
            broken.append(place)
    return _invariant(
        "bytes_untouched",
        "What passed, and what is a dead letter, has the bytes it came with",
        f"{len(copies):,} records compared",
        broken,
    )


def withdrawals_honoured(account: Account) -> Invariant:
    """
    I1: nothing passes that was sent after a withdrawal covering it had been acknowledged.

    Left out are people who sent a yes of their own after the withdrawal: that may count.
    """
    said: dict[str, list[Played]] = defaultdict(list)
    for each in account.played:
        if isinstance(each.act.record, ConsentEvent):
            said[each.act.record.subject].append(each)
    sent_after = 0
    gaps_ms = []
    broken = []
    for place, sent in account.requests.items():
        request = sent.act.record
        if not isinstance(request, SmsRequested):
            continue
        standing = _standing(said[request.recipient], request)
        stops = [stop for stop in standing if stop.acknowledged_ns <= sent.sent_ns]
        if not stops:
            continue
        sent_after += 1
        if sent.act.after is not None:
            gaps_ms.append((sent.sent_ns - stops[-1].acknowledged_ns) / 1e6)
        if place in account.passed_on:
            broken.append(place)
    just = (
        f"; {len(gaps_ms):,} of them {median(gaps_ms):.1f} ms after it (median)" if gaps_ms else ""
    )
    return _invariant(
        "withdrawals_honoured",
        "Nothing passes that was sent after its recipient's withdrawal was acknowledged",
        f"{sent_after:,} were sent after a withdrawal{just}",
        broken,
    )


def stops_confirmed_once(account: Account) -> Invariant:
    """
    A STOP by reply is confirmed at most once, and by nothing but the worker's one request.

    A stack whose worker does not confirm (setting ``confirm_stops``) confirms none.
    """
    replies = {each.act.causes for each in account.played if each.act.causes is not None}
    confirmed = Counter(
        decision.request_id
        for decision in account.written.decisions
        if decision.request_id in replies and decision.verdict is Outcome.ALLOWED
    )
    twice = tuple(request_id for request_id, times in confirmed.items() if times > 1)
    return Invariant(
        "stops_confirmed_once",
        "No STOP by reply is confirmed more than once",
        not twice,
        f"{len(replies):,} replies, {len(confirmed):,} confirmed by one message each"
        if not twice
        else f"{len(twice):,} confirmed more than once",
        twice[:_SHOWN],
    )


class AfterStops(NamedTuple):
    """People who stopped, the messages sent to them afterwards, and how many of those passed."""

    people: int
    messages: int
    passed: int


def after_stops(account: Account) -> dict[str, AfterStops]:
    """Count what was sent to those who stopped during the day, by how they did."""
    stopped = {
        each.act.label: each.act.record.source
        for each in account.played
        if each.act.label is not None and isinstance(each.act.record, ConsentEvent)
    }
    sent: dict[str, list[tuple[Place, Played]]] = defaultdict(list)
    for place, each in account.requests.items():
        if each.act.after is not None:
            sent[_HOW[stopped[each.act.after]]].append((place, each))
    return {
        how: AfterStops(
            people=len({each.act.key for _, each in some}),
            messages=len(some),
            passed=sum(place in account.passed_on for place, _ in some),
        )
        for how, some in sorted(sent.items())
    }


def held_and_dropped_unreadable(account: Account) -> Invariant:
    """
    No text of a held or dropped message is readable in anything that gate or worker has written.

    Dead letters are as they came, which :func:`bytes_untouched` sees to.
    """
    kept_back = {
        request.body
        for place, request in _decided(account)
        if any(d.verdict is not Outcome.ALLOWED for d in account.decisions.get(place, []))
    }
    broken = list(_found(_pieces(body.encode() for body in kept_back), account.written.opaque))
    broken += [
        place
        for place, copies in account.passed_on.items()
        for copy in copies
        if copy.request is not None and copy.request.body in kept_back
    ]
    return _invariant(
        "held_and_dropped_unreadable",
        "No text of a held or dropped message can be read anywhere",
        f"{len(kept_back):,} texts looked for in {len(account.written.opaque):,} keys and values",
        broken,
    )


def nobody_named(account: Account) -> Invariant:
    """I7 and I4: no number and no name in any topic that is not made to carry messages."""
    requests = [request for _, request in _decided(account)]
    people = {person for request in requests for person in request.named_persons}
    numbers = {request.recipient for request in requests}
    numbers |= {person.number for person in people if person.number is not None}
    numbers |= {request.initiator.user for request in requests if request.initiator.user}
    names = {person.name for person in people}
    for sent in account.played:
        if isinstance(sent.act.record, ContactsUploaded):
            contacts = sent.act.record.contacts
            numbers |= {number for each in contacts if (number := as_e164(each.number, "CN"))}
            names |= {each.name for each in contacts if each.name}
    # A number without its plus is one too, and so is a surname without its first name.
    needles = {number.removeprefix("+")[:10].encode() for number in numbers}
    needles |= {word.encode() for name in names for word in name.split() if len(word) >= 4}
    return _invariant(
        "nobody_named",
        "No number and no name can be read where no message is carried",
        f"{len(numbers):,} numbers and {len(names):,} names looked for",
        list(_found(needles, account.written.opaque)),
    )


def chain_unbroken(account: Account) -> Invariant:
    """Every chain of decisions and of the ledger holds, from its first record to a signed last."""
    chains = account.written.chains
    records = sum(report.records for report in chains)
    broken = tuple(report.finding.text for report in chains if report.finding is not None)
    return Invariant(
        "chain_unbroken",
        "The chains of decisions and of the consent ledger verify",
        not broken and records > 0,
        f"{records:,} records in {len(chains)} chains",
        broken[:_SHOWN],
    )


def as_the_policy_says(account: Account, default_version: str) -> Invariant:
    """Every request of the day ended as the default policy has it, for the very reasons."""
    text = "Every outcome is the one that the default policy gives, for the same reasons"
    versions = {d.policy_version for each in account.decisions.values() for d in each}
    if versions - {default_version}:
        told = "not compared: another policy than the default one decided"
        return Invariant("as_the_policy_says", text, None, told)
    broken = []
    for place, sent in account.requests.items():
        expected = sent.act.expected
        if expected is None:
            continue
        if account.fate(place) is not expected.fate or account.because(place) != expected.because:
            broken.append(place)
    return _invariant(
        "as_the_policy_says", text, f"{len(account.requests):,} outcomes compared", broken
    )


def place_of(decision: SmsDecision) -> Place:
    """Give where the request stood that was decided."""
    return Place(SMS_REQUESTED.name, decision.request_partition, decision.request_offset)


_R = TypeVar("_R")

_HOW = {
    Source.INBOUND_SMS: "replied STOP; a worker read the reply",
    Source.SELF_SERVICE: "withdrew in the preference centre",
}

_WORDS = {
    Fate.ALLOWED: "allowed",
    Fate.QUARANTINED: "quarantined",
    Fate.DROPPED: "dropped",
    Fate.DEAD_LETTERED: "dead-lettered",
}


def _invariant(name: str, text: str, told: str, broken: Sequence[Place]) -> Invariant:
    if broken:
        told = f"{len(broken):,} broken; {told}"
    return Invariant(name, text, not broken, told, tuple(map(str, broken[:_SHOWN])))


def _place_of_hold(hold_id: str) -> Place | None:
    partition, _, offset = hold_id.partition("-")
    if not (partition.isdigit() and offset.isdigit()):
        return None
    return Place(SMS_REQUESTED.name, int(partition), int(offset))


def _standing(said: Sequence[Played], request: SmsRequested) -> list[Played]:
    """Give the withdrawals that cover a request, unless a yes of the person's own came after."""
    covering = [each for each in said if _covers(each.act.record, request)]
    if not covering:
        return []
    last_yes = max((each.sent_ns for each in said if _is_own_yes(each.act.record)), default=0)
    return [each for each in covering if each.sent_ns > last_yes]


def _covers(record: object, request: SmsRequested) -> bool:
    if not isinstance(record, ConsentEvent) or record.kind is not ConsentKind.WITHDRAWN:
        return False
    if record.purpose is not None:
        return record.purpose == request.purpose
    # A STOP does not cover a password that the person asks for (person.yaml of each pack).
    asked = request.occasion is not None and request.occasion.kind in ASKED_FOR
    return not (request.purpose == "otp" and asked)


def _is_own_yes(record: object) -> bool:
    return (
        isinstance(record, ConsentEvent)
        and record.kind is ConsentKind.GRANTED
        and record.source.from_recipient
    )


def _decided(account: Account) -> Iterator[tuple[Place, SmsRequested]]:
    """Give the requests that could be read and judged."""
    for place, sent in account.requests.items():
        if isinstance(sent.act.record, SmsRequested) and place not in account.dead:
            yield place, sent.act.record


def _pieces(texts: Iterable[bytes]) -> set[bytes]:
    """
    Give pieces of which each text has at least one, as few as that takes.

    To look for ten thousand texts in as many records would take minutes; texts of a campaign share
    most of their words, so that a dozen pieces stand for all.
    """
    texts = [text for text in texts if text]
    grams = [
        [text[at : at + _PIECE] for at in range(max(1, len(text) - _PIECE + 1))] for text in texts
    ]
    common = Counter(gram for each in grams for gram in set(each))
    return {max(each, key=lambda gram: (common[gram], gram)) for each in grams}


def _found(needles: Iterable[bytes], haystack: Sequence[tuple[Place, bytes]]) -> Iterator[Place]:
    """Give the places at which a needle lies, the first of each needle."""
    # One search through everything for a needle, not one a record: that takes a hundredth.
    whole = b"\x00".join(part for _, part in haystack)
    begins = list(accumulate((len(part) + 1 for _, part in haystack), initial=0))
    for needle in sorted(needles):
        at = whole.find(needle)
        if at >= 0:
            yield haystack[bisect_right(begins, at) - 1][0]
