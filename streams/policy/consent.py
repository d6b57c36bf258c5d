"""
What a person's yes and no come to, for one message.

The fold keeps grants and withdrawals as they were given. Which of them holds depends on the
message's purpose, sender and campaign and on the time, so it is decided here, each time anew.
Source of every rule in this file: section 4 of the design, "What the fold means".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streams.policy.confirming import Confirming
from streams.policy.lapse import Lapse
from streams.policy.vocabulary import Basis, Consent
from streams.records import events
from streams.records.subject import Grant, SubjectState, Withdrawal


class ConsentView(NamedTuple):
    """
    The consent of one number, as it stands towards one message.

    ``basis``, ``conditional`` and ``own`` (given by the recipient in person) describe the grant in
    force and are NONE and false without one. ``event_id`` is the grant in force, the withdrawal
    that ended it, the grant that waits to be confirmed, or the one that ran out. ``withdrawn``: a
    withdrawal of this purpose stands; ``suppressed``: one of everything does; both may.
    ``reassigned``: a grant of the former holder would have matched. ``erased``: everything was
    erased and nothing granted since.
    ``since`` is when the grant in force counts from.
    """

    status: Consent
    basis: Basis
    conditional: bool
    own: bool
    event_id: str | None
    withdrawn: bool
    suppressed: bool
    reassigned: bool
    erased: bool
    since: int | None = None


_NOTHING_SAID = ConsentView(
    Consent.NONE,
    Basis.NONE,
    conditional=False,
    own=False,
    event_id=None,
    withdrawn=False,
    suppressed=False,
    reassigned=False,
    erased=False,
)

_new = tuple.__new__
"""A named tuple's own ``__new__`` is Python code."""

_GRANTED = Consent.GRANTED
_EXPRESS, _BASIS_EXPRESS = events.Basis.EXPRESS, Basis.EXPRESS
_BASIS = {basis: Basis[basis.name] for basis in events.Basis}
_BASIS_RANK = {Basis.EXPRESS: 2, Basis.IMPLIED: 1, Basis.SOFT_OPT_IN: 0}

_FROM_RECIPIENT = tuple(source for source in events.Source if source.from_recipient)
"""A tuple, searched by identity: hashing a member of a plain enum is Python code."""

_OPENS_AGAIN = (events.Source.SELF_SERVICE, events.Source.DOUBLE_OPT_IN)
"""After an erasure only these count: an inbound word proves less than a form or a confirmation."""


def consent_for(
    state: SubjectState | None,
    purpose: str,
    sender_id: str,
    campaign_id: str | None,
    now_ms: int,
    confirming: Confirming | None = None,
    lapse: Lapse | None = None,
) -> ConsentView:
    """
    Read from ``state`` what the person said to a message of this purpose, sender and campaign.

    Pure. A grant is in force if it matches the message, no withdrawal that covers the message
    defeats it, it is the present holder's, it is younger than any erasure, has not run out, and
    has not lapsed by ``lapse`` (null: none does), and needs no confirmation by ``confirming``
    (null: none does) or has it. A pending one leaves every withdrawal and erasure standing:
    somebody else may have given it in the person's name. What lapsed counts as run out, but a
    former holder's is still told as ``reassigned``: a policy that adds a lapse objects no less. Of
    several the best is taken: free before bundled, EXPRESS before IMPLIED before SOFT_OPT_IN, the
    recipient's own before others', then the youngest.
    """
    if state is None or not (state.grants or state.withdrawals or state.erased_at is not None):
        return _NOTHING_SAID

    covering: Sequence[Withdrawal] = state.withdrawals and [
        withdrawal
        for withdrawal in state.withdrawals
        if (withdrawal.purpose is None or withdrawal.purpose == purpose)
        and (withdrawal.sender_id is None or withdrawal.sender_id == sender_id)
        and (withdrawal.campaign_id is None or withdrawal.campaign_id == campaign_id)
    ]
    erased_at, reassigned_at = state.erased_at, state.reassigned_at
    matching: list[Grant] = []
    best: Grant | None = None
    for grant in state.grants:
        if (
            grant.purpose != purpose
            or (grant.sender_id is not None and grant.sender_id != sender_id)
            or (grant.campaign_id is not None and grant.campaign_id != campaign_id)
            or (erased_at is not None and not _outlives_erasure(grant, state))
        ):
            continue
        matching.append(grant)
        if (
            not (covering and _defeated(grant, covering))
            and (reassigned_at is None or _given_by_present_holder(grant, state))
            and (grant.expires_at is None or now_ms < grant.expires_at)
            and not (lapse and _lapsed(grant, now_ms, lapse))
            and (confirming is None or confirming.counts(grant))
            and (best is None or _strength(grant) > _strength(best))
        ):
            best = grant
    if best is not None:
        return _new(
            ConsentView,
            (
                _GRANTED,
                _BASIS_EXPRESS if best.basis is _EXPRESS else _BASIS[best.basis],
                best.conditional,
                best.source in _FROM_RECIPIENT,
                best.event_id,
                False,
                False,
                False,
                False,
                best.counts_from,
            ),
        )
    status, event_id = _why_none(matching, covering, state, now_ms, confirming)
    return ConsentView(
        status,
        Basis.NONE,
        conditional=False,
        own=False,
        event_id=event_id,
        withdrawn=any(withdrawal.purpose is not None for withdrawal in covering),
        suppressed=any(withdrawal.purpose is None for withdrawal in covering),
        reassigned=any(
            not _given_by_present_holder(grant, state)
            and not _defeated(grant, covering)
            and _not_run_out(grant, now_ms)
            for grant in matching
        ),
        erased=_erased(state, now_ms, confirming, lapse),
    )


def _why_none(
    matching: list[Grant],
    covering: Sequence[Withdrawal],
    state: SubjectState,
    now_ms: int,
    confirming: Confirming | None,
) -> tuple[Consent, str | None]:
    """Say why no grant is in force: a no was last, one waits, it ran out, or there was none."""
    newest = max(matching, key=_offset, default=None)
    if covering and (newest is None or _defeated(newest, covering)):
        return Consent.WITHDRAWN, max(covering, key=_offset).event_id
    standing = [
        grant
        for grant in sorted(matching, key=_offset, reverse=True)
        if not _defeated(grant, covering) and _given_by_present_holder(grant, state)
    ]
    if confirming is not None:
        for grant in standing:
            if _not_run_out(grant, now_ms) and confirming.pending(grant, now_ms):
                return Consent.PENDING, grant.event_id
    return (Consent.EXPIRED, standing[0].event_id) if standing else (Consent.NONE, None)


def _defeated(grant: Grant, covering: Sequence[Withdrawal]) -> bool:
    """
    Whether a withdrawal ends this grant.

    It does unless the grant lies at a higher offset, counts from strictly after it (a tie goes to
    the withdrawal), and came from the recipient: an import or an operator never undoes a STOP.
    """
    for withdrawal in covering:
        if (
            withdrawal.offset >= grant.offset
            or grant.counts_from <= withdrawal.at
            or grant.source not in _FROM_RECIPIENT
        ):
            return True
    return False


def _given_by_present_holder(grant: Grant, state: SubjectState) -> bool:
    """NUMBER_REASSIGNED and _DISCONNECTED end every consent that counts from before their day."""
    return state.reassigned_at is None or grant.counts_from >= state.reassigned_at


def _not_run_out(grant: Grant, now_ms: int) -> bool:
    return grant.expires_at is None or now_ms < grant.expires_at


def _lapsed(grant: Grant, now_ms: int, lapse: Lapse) -> bool:
    after_ms = lapse.get(grant.basis)
    return after_ms is not None and now_ms >= grant.counts_from + after_ms


def _outlives_erasure(grant: Grant, state: SubjectState) -> bool:
    """Nothing older than an erasure counts; what opens again must be the person's fresh own yes."""
    return state.erased_at is None or (
        grant.counts_from > state.erased_at and grant.source in _OPENS_AGAIN
    )


def _erased(
    state: SubjectState, now_ms: int, confirming: Confirming | None, lapse: Lapse | None
) -> bool:
    """Whether an erasure stands: no grant for any purpose has come into force after it."""
    if state.erased_at is None:
        return False
    return not any(
        _outlives_erasure(grant, state)
        and _given_by_present_holder(grant, state)
        and _not_run_out(grant, now_ms)
        and not (lapse and _lapsed(grant, now_ms, lapse))
        and (confirming is None or confirming.counts(grant))
        and not _defeated(
            grant,
            [
                withdrawal
                for withdrawal in state.withdrawals
                if withdrawal.purpose in (None, grant.purpose)
                and withdrawal.sender_id in (None, grant.sender_id)
                and withdrawal.campaign_id in (None, grant.campaign_id)
            ],
        )
        for grant in state.grants
    )


def _strength(grant: Grant) -> tuple[bool, int, bool, int]:
    return (
        not grant.conditional,
        _BASIS_RANK[_BASIS[grant.basis]],
        grant.source in _FROM_RECIPIENT,
        grant.offset,
    )


def _offset(said: Grant | Withdrawal) -> int:
    return said.offset
