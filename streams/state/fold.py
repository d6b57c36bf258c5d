"""
The fold: what a consent event makes of a subject's state. Pure.

Entries of address books are folded in :mod:`streams.state.fold_contacts`; an event that cannot be
read holds its subject (:mod:`streams.state.unreadable`).

The rules are those of the design ("What the fold means"). Three properties carry the guarantees,
and the property tests hold them:

* **Idempotent by event.** An event that was applied before changes nothing (DUPLICATE). What
  makes an event the same is a digest of all it says, not its id alone: a producer that gives every
  event the id ``1`` must not lose a STOP.
* **Safe in any order.** No arrival order of the same events allows more than the order in which
  they happened. A late or skewed grant never undoes a withdrawal, a late withdrawal always ends
  what was granted before it.
* **Two clocks.** Restrictions count from their append time, grants from the earlier of their own
  date and their append time. Append times come in made monotone within the partition.

Whether a grant is *effective for a message* is not decided here but in
:func:`streams.policy.consent.consent_for`, against the withdrawals that cover that message: a
withdrawal may be narrower than a grant.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import Final, NamedTuple

from streams.policy.once import message_digest
from streams.records.decisions import Refusal
from streams.records.drafts import making, replacing
from streams.records.events import (
    ConsentEvent,
    ConsentKind,
    Scope,
    Source,
)
from streams.records.subject import (
    Grant,
    Membership,
    StopSaid,
    SubjectState,
    Withdrawal,
)

CLOCK_AHEAD_MS: Final = 5 * 60 * 1000
"""A grant dated further ahead of its append time than this is refused: its clock cannot be told
from one that is set to outlast the next STOP. Larger lets such a grant in; smaller refuses honest
producers whose clock is off."""

APPLIED_REMEMBERED: Final = 32
"""How many event digests a subject keeps. A redelivery comes within the producer's retries, so a
few would do; fewer than the events of one burst would let a redelivered STOP undo a later yes. As
many again are kept of events dated ahead of their append time (:func:`remembered`)."""

_DATED_AHEAD: Final = b"+"
"""In front of the digest of an event that was dated ahead of its append time."""

MOST_GRANTS: Final = 64
MOST_WITHDRAWALS: Final = 64
"""Bounds of one subject's lists. What does not fit makes the state stricter, never milder: the
oldest grants are forgotten, withdrawals are widened."""

CARRIED: Final = "moved/"
"""What the ids of withdrawals begin with that came along from a person's former number."""

_RESTRICTING: Final = frozenset(
    {
        ConsentKind.WITHDRAWN,
        ConsentKind.UNREGISTERED,
        ConsentKind.NUMBER_REASSIGNED,
        ConsentKind.NUMBER_DISCONNECTED,
    }
)
"""What counts for a key that is another number than its event's subject. Not an erasure: it
forgets, and nothing may be forgotten in doubt."""

_COUNTING_FROM_ITS_DATE: Final = frozenset(
    {ConsentKind.GRANTED, ConsentKind.REGISTERED, ConsentKind.NUMBER_ORIGIN}
)

_OPENS_AFTER_ERASURE: Final = frozenset({Source.SELF_SERVICE, Source.DOUBLE_OPT_IN})

_CONFIRMS: Final = frozenset({Source.DOUBLE_OPT_IN, Source.INBOUND_SMS})
"""A yes without a purpose from these confirms what waits: it came from the number itself."""

_new_grant: Final = making(Grant)
_changed: Final = replacing(SubjectState)
"""``replace`` for states, in a tenth of its time: it is called two or three times an event."""


class Folded(NamedTuple):
    """The state after one event, and why the event was refused, if it was."""

    state: SubjectState
    refusal: Refusal | None = None


def event_digest(event: ConsentEvent) -> bytes:
    """
    Return 16 bytes that tell this event from any other, whoever its subject is.

    Covers everything the fold reads but the evidence's reference, which a STOP by SMS is known by:
    that stands in its event id too. Equal for a redelivered and for a re-sent event. Nor is in it
    where a person moved to: a state keeps no hash by which a number could be guessed. A move that
    is told anew, to another number, needs an id of its own.
    """
    said = (
        event.event_id,
        event.kind._value_,  # .value is a descriptor written in Python: slow
        event.occurred_at,
        event.source._value_,
        event.purpose,
        event.basis._value_,
        event.conditional,
        event.scope.sender_id,
        event.scope.campaign_id,
        event.effective_at,
        event.expires_at,
        event.origin._value_ if event.origin else None,
        event.time_zone,
        event.region,
    )
    return blake2b(repr(said).encode(), digest_size=16).digest()


def fold_consent(
    state: SubjectState,
    event: ConsentEvent,
    *,
    offset: int,
    appended_at: int,
    placed: bool,
    for_key_only: bool = False,
) -> Folded:
    """
    Apply one consent event that stands at ``offset`` of the subject's partition.

    ``appended_at`` is its (first) append time, not below that of any record before it unless the
    event was re-sent. ``placed`` says that the subject's number was found to belong to this
    partition. ``for_key_only``: the event's subject is another number than its key, and the state
    is the key's; then only what restricts counts (KEY_MISMATCH otherwise): a yes that may be
    somebody else's allows nothing. A refused event is remembered too: coming again, it stays so.
    """
    if for_key_only and event.kind not in _RESTRICTING:
        return Folded(_placed(state, placed), Refusal.KEY_MISMATCH)
    digest = event_digest(event)
    if digest in state.applied or _DATED_AHEAD + digest in state.applied:
        return Folded(_placed(state, placed), Refusal.DUPLICATE)
    after, refusal = _apply(state, event, offset, appended_at)
    ahead = event.occurred_at > appended_at and event.kind in _COUNTING_FROM_ITS_DATE
    return Folded(
        _changed(
            after,
            placed=placed or after.placed,
            applied=remembered(after.applied, digest, ahead=ahead),
            stop=after.stop if for_key_only else _stop(after, event, appended_at),
        ),
        refusal,
    )


def _stop(state: SubjectState, event: ConsentEvent, at: int) -> StopSaid | None:
    """The STOP by SMS that may still be confirmed: this event, or the one known before."""
    if event.kind is not ConsentKind.WITHDRAWN or event.source is not Source.INBOUND_SMS:
        return state.stop
    if event.evidence is None or not event.evidence.reference:
        return state.stop
    return StopSaid(message_digest(state.subject_id, event.evidence.reference), at)


def _placed(state: SubjectState, placed: bool) -> SubjectState:
    return _changed(state, placed=True) if placed and not state.placed else state


def remembered(applied: tuple[bytes, ...], digest: bytes, *, ahead: bool) -> tuple[bytes, ...]:
    """
    Add a digest to those of the last events; the oldest of its kind goes where there are too many.

    What was dated ``ahead`` of its append time is kept apart: appended once more, after that date,
    it would count from later than the first time, past a STOP that lies in between. So other
    events, however many, must not push it out.
    """
    new = _DATED_AHEAD + digest if ahead else digest
    if not applied:
        return (new,)
    alike = [each for each in applied if len(each) == len(new)]
    if len(alike) >= APPLIED_REMEMBERED:
        applied = tuple(each for each in applied if each != alike[0])
    return (*applied, new)


def _apply(state: SubjectState, event: ConsentEvent, offset: int, at: int) -> Folded:
    match event.kind:
        case ConsentKind.GRANTED:
            return _grant(state, event, offset, at)
        case ConsentKind.WITHDRAWN:
            return Folded(_withdraw(state, event, offset, at))
        case ConsentKind.REGISTERED:
            return _register(state, event, offset, at)
        case ConsentKind.UNREGISTERED:
            return Folded(_unregister(state, event, at))
        case ConsentKind.NUMBER_ORIGIN:
            return _originate(state, event, at)
        case (
            ConsentKind.NUMBER_REASSIGNED
            | ConsentKind.NUMBER_DISCONNECTED
            | ConsentKind.NUMBER_MOVED
        ):
            return Folded(_reassign(state, event, at))
        case ConsentKind.NUMBER_CHECKED:
            return _check(state, event, at)
        case ConsentKind.ERASURE_REQUESTED:
            return Folded(_erase(state, at))


def _too_late(state: SubjectState, counts_from: int) -> bool:
    """Whether something that counts from then was ended by what is already known."""
    return (
        (state.erased_at is not None and counts_from <= state.erased_at)
        or (state.reassigned_at is not None and counts_from < state.reassigned_at)
        or (state.unregistered_at is not None and counts_from <= state.unregistered_at)
    )


def _covers_whole(withdrawal: Withdrawal, grant: Grant) -> bool:
    """Whether every message that the grant matches is covered by the withdrawal."""
    return (
        withdrawal.purpose in (None, grant.purpose)
        and withdrawal.sender_id in (None, grant.sender_id)
        and withdrawal.campaign_id in (None, grant.campaign_id)
    )


def _grant(state: SubjectState, event: ConsentEvent, offset: int, at: int) -> Folded:
    if event.purpose is None and event.source not in _CONFIRMS:
        return Folded(state, Refusal.NO_PURPOSE)
    if event.occurred_at > at + CLOCK_AHEAD_MS:
        return Folded(state, Refusal.CLOCK_AHEAD)
    counts_from = min(event.occurred_at, at)
    if _too_late(state, counts_from):
        return Folded(state, Refusal.LATE)
    if event.purpose is None:
        return _confirm(state, event.scope, counts_from, at)
    if state.erased_at is not None and event.source not in _OPENS_AFTER_ERASURE:
        return Folded(state, Refusal.WEAK_SOURCE)
    grant = _new_grant(
        purpose=event.purpose,
        basis=event.basis,
        conditional=event.conditional,
        sender_id=event.scope.sender_id,
        campaign_id=event.scope.campaign_id,
        counts_from=counts_from,
        offset=offset,
        expires_at=event.expires_at,
        source=event.source,
        event_id=event.event_id,
        confirmed_at=None,
        asked=(),
    )
    for withdrawal in state.withdrawals:
        if _covers_whole(withdrawal, grant):
            if not event.source.from_recipient:
                return Folded(state, Refusal.WEAK_SOURCE)
            if counts_from <= withdrawal.at:
                return Folded(state, Refusal.LATE)
    return Folded(_with_place(_changed(state, grants=_with_grant(state.grants, grant)), event))


def _confirm(state: SubjectState, scope: Scope, said_at: int, at: int) -> Folded:
    """
    Take a yes that names no purpose for a confirmation of what was given before it.

    It grants nothing of its own: where nothing waits it is refused (NO_PURPOSE). It confirms what
    lies below it and counts from no later than it was said, unless it is another sender's or
    campaign's. What needs confirming, and until when, is the policy's to say.
    """
    grants = tuple(
        replace(grant, confirmed_at=at) if _is_confirmed_by(grant, scope, said_at) else grant
        for grant in state.grants
    )
    if grants == state.grants:
        return Folded(state, Refusal.NO_PURPOSE)
    return Folded(_changed(state, grants=grants))


def _is_confirmed_by(grant: Grant, scope: Scope, said_at: int) -> bool:
    return (
        grant.confirmed_at is None
        and grant.source not in _CONFIRMS
        and grant.counts_from <= said_at
        and (None in (grant.sender_id, scope.sender_id) or grant.sender_id == scope.sender_id)
        and (
            None in (grant.campaign_id, scope.campaign_id) or grant.campaign_id == scope.campaign_id
        )
    )


def grant_kind(grant: Grant) -> tuple[object, ...]:
    """Return what tells grants apart: given anew, one takes the place of the one before."""
    return (
        grant.purpose,
        grant.basis,
        grant.conditional,
        grant.sender_id,
        grant.campaign_id,
        grant.source,
    )


def _with_grant(grants: tuple[Grant, ...], new: Grant) -> tuple[Grant, ...]:
    """
    Keep one grant for each purpose, basis, scope and source: the one that counts from latest.

    A confirmed one and one that may still have to be confirmed are two: asked anew, the person
    keeps what was confirmed.

    It is effective wherever the other would be: a withdrawal between two grants is appended after
    the earlier one, so that a grant which counts from before that one counts from before it too.
    """
    if not grants:
        return (new,)
    rest = []
    for grant in grants:
        if grant_kind(grant) != grant_kind(new) or (
            (grant.confirmed_at is None) != (new.confirmed_at is None)
        ):
            rest.append(grant)
        elif (grant.counts_from, grant.offset) > (new.counts_from, new.offset):
            new = grant
        elif grant.asked:
            # However often a form is sent, its number is asked once, and reminded once.
            new = replace(new, asked=grant.asked)
    kept = [*rest, new]
    kept.sort(key=lambda grant: (grant.counts_from, grant.offset))
    return tuple(kept[-MOST_GRANTS:])


def _withdraw(state: SubjectState, event: ConsentEvent, offset: int, at: int) -> SubjectState:
    new = Withdrawal(
        purpose=event.purpose,
        sender_id=event.scope.sender_id,
        campaign_id=event.scope.campaign_id,
        at=at,
        offset=offset,
        source=event.source,
        event_id=event.event_id,
    )
    withdrawals = with_withdrawal(state.withdrawals, new)
    # Every grant that stands here has a lower offset: it is ended, whatever the clocks say.
    grants = tuple(grant for grant in state.grants if not _covers_whole(new, grant))
    return _changed(state, withdrawals=withdrawals, grants=grants)


def with_withdrawal(withdrawals: tuple[Withdrawal, ...], new: Withdrawal) -> tuple[Withdrawal, ...]:
    """Add a withdrawal. One that covers the same gives way; too many are widened, never dropped."""
    kept: dict[tuple[str | None, ...], Withdrawal] = {}
    for each in (*withdrawals, new):
        _keep_later(kept, each)
    if len(kept) > MOST_WITHDRAWALS:
        everything = [replace(w, sender_id=None, campaign_id=None) for w in kept.values()]
        kept = {}
        for each in everything:
            _keep_later(kept, each)
    if len(kept) > MOST_WITHDRAWALS:
        everything = [replace(w, purpose=None) for w in kept.values()]
        kept = {}
        for each in everything:
            _keep_later(kept, each)
    return tuple(kept.values())


def _keep_later(kept: dict[tuple[str | None, ...], Withdrawal], new: Withdrawal) -> None:
    covers = (new.purpose, new.sender_id, new.campaign_id)
    old = kept.get(covers)
    if old is None:
        kept[covers] = new
    else:
        later = new if new.offset >= old.offset else old
        kept[covers] = replace(later, at=max(old.at, new.at))


def _with_place(state: SubjectState, event: ConsentEvent) -> SubjectState:
    if event.time_zone is None and event.region is None:
        return state
    return _changed(
        state,
        time_zone=event.time_zone or state.time_zone,
        region=event.region or state.region,
    )


def _register(state: SubjectState, event: ConsentEvent, offset: int, at: int) -> Folded:
    since = min(event.occurred_at, at)
    if _too_late(state, since):
        return Folded(state, Refusal.LATE)
    membership = Membership(since=since, offset=offset, event_id=event.event_id)
    if state.membership is not None and state.membership.since <= since:
        # Registering again does not begin a new membership: what was given since the first
        # registration ends with it.
        membership = state.membership
    return Folded(_with_place(_changed(state, membership=membership), event))


def _unregister(state: SubjectState, event: ConsentEvent, at: int) -> SubjectState:
    """
    End the membership and the consents given with it.

    Given with it are those that count from its beginning on, less the clock tolerance (a form that
    asks for consent and then registers dates the consent first). Where the membership that ends is
    not known, because there is none or it began only afterwards, all.
    """
    member = state.membership
    grants: tuple[Grant, ...] = ()
    if member is not None and member.since <= event.occurred_at:
        began = member.since - CLOCK_AHEAD_MS
        grants = tuple(grant for grant in state.grants if grant.counts_from < began)
    return _changed(
        state,
        membership=None,
        unregistered_at=max(at, state.unregistered_at or 0),
        grants=grants,
    )


def _originate(state: SubjectState, event: ConsentEvent, at: int) -> Folded:
    since = min(event.occurred_at, at)
    if event.origin is None:
        return Folded(state, Refusal.NO_ORIGIN)
    if (state.erased_at is not None and since <= state.erased_at) or (
        state.reassigned_at is not None and since < state.reassigned_at
    ):
        return Folded(state, Refusal.LATE)
    if state.origin_at is not None and state.origin_at > since:
        return Folded(_with_place(state, event))
    return Folded(_with_place(_changed(state, origin=event.origin, origin_at=since), event))


def _check(state: SubjectState, event: ConsentEvent, at: int) -> Folded:
    """
    Note that the number did not change its holder from one day to another.

    Two findings that overlap are one. What was found of a former holder's days is of no use (LATE);
    nor, without ``effective_at``, is anything said.
    """
    until = min(event.occurred_at, at)
    since = until if event.effective_at is None else max(event.effective_at, 0)
    if since > until or (state.reassigned_at is not None and since < state.reassigned_at):
        return Folded(state, Refusal.LATE)
    if state.checked_at is not None and state.checked_since is not None:
        if since <= state.checked_at and state.checked_since <= until:
            since, until = min(since, state.checked_since), max(until, state.checked_at)
        elif until < state.checked_at:
            return Folded(state, Refusal.LATE)
    return Folded(_changed(state, checked_since=since, checked_at=until))


def _reassign(state: SubjectState, event: ConsentEvent, at: int) -> SubjectState:
    """
    End everything that counts from before the number went to somebody else.

    Withdrawals stay: whose STOP it was cannot be told, and doubt never allows.
    """
    since = max(event.effective_at if event.effective_at is not None else at, 0)
    reassigned_at = max(since, state.reassigned_at or 0)
    member = state.membership
    origin_stays = state.origin_at is not None and state.origin_at >= reassigned_at
    return _changed(
        state,
        reassigned_at=reassigned_at,
        membership=member if member is not None and member.since >= reassigned_at else None,
        origin=state.origin if origin_stays else None,
        origin_at=state.origin_at if origin_stays else None,
        time_zone=None,
        region=None,
        checked_since=None,
        checked_at=None,
    )


def _erase(state: SubjectState, at: int) -> SubjectState:
    """
    Keep the hash, the suppression and the time of erasure; forget the rest.

    That somebody was let refer the person stays too, one bit: nobody may a second time.
    """
    erased_at = max(at, state.erased_at or 0)
    ahead = state.reassigned_at is not None and state.reassigned_at > erased_at
    return SubjectState(
        subject_id=state.subject_id,
        placed=state.placed,
        withdrawals=state.withdrawals,
        reassigned_at=state.reassigned_at if ahead else None,
        erased_at=erased_at,
        undecodable=state.undecodable,
        applied=state.applied,
        referred=state.referred,
    )


def carried(state: SubjectState, number: str, where: str) -> list[ConsentEvent]:
    """
    Return the withdrawals that go with a person who moves to ``number``, for that number.

    ``state`` is the old number's, ``where`` names the event that tells of the move: the same event
    gives the same withdrawals again. No consent goes with them: the person gives it anew.
    """
    return [
        ConsentEvent(
            event_id=f"{CARRIED}{where}/{place}",
            subject=number,
            kind=ConsentKind.WITHDRAWN,
            occurred_at=withdrawal.at,
            source=withdrawal.source,
            purpose=withdrawal.purpose,
            scope=Scope(withdrawal.sender_id, withdrawal.campaign_id),
        )
        for place, withdrawal in enumerate(state.withdrawals)
    ]
