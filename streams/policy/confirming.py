"""
Double opt-in: which consents count only once the person has confirmed them.

Whoever types a number into a form need not hold it. A policy may therefore say (``confirm`` in
``policy.yaml``) that a consent given in such a way is pending until its number confirms it, by a
reply or by a link that was sent there. The fold keeps the consent and the confirmation as they were
given (ADR 0004); what they come to is decided here, by the policy of the day.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.records.events import Basis, Source
from streams.records.subject import Grant

CONFIRMS = frozenset({Source.DOUBLE_OPT_IN, Source.INBOUND_SMS})
"""From where a confirmation comes, and what needs none: both prove that the number is the
person's."""

MAY_NEED_IT = tuple(source for source in Source if source not in CONFIRMS)


@dataclass(frozen=True, slots=True)
class Confirming:
    """
    What a policy says of confirming.

    EXPRESS consents to ``purposes`` from ``sources`` that count from ``since_ms`` on (null: all)
    are pending for ``within_ms``, and have run out after that unless they were confirmed in time.
    An IMPLIED consent or a soft opt-in is no declaration that could be confirmed: rules judge it.
    """

    purposes: frozenset[str]
    sources: tuple[Source, ...]
    within_ms: int
    since_ms: int | None = None

    def counts(self, grant: Grant) -> bool:
        """Whether a consent needs no confirmation, or was confirmed in time."""
        return not self._needs(grant) or (
            grant.confirmed_at is not None and grant.confirmed_at <= self.until(grant)
        )

    def pending(self, grant: Grant, now_ms: int) -> bool:
        """Whether a consent still waits to be confirmed."""
        return not self.counts(grant) and now_ms <= self.until(grant)

    def until(self, grant: Grant) -> int:
        """Until when it may be confirmed, inclusively."""
        return grant.counts_from + self.within_ms

    def _needs(self, grant: Grant) -> bool:
        return (
            grant.purpose in self.purposes
            and grant.source in self.sources
            and grant.basis is Basis.EXPRESS
            and (self.since_ms is None or grant.counts_from >= self.since_ms)
        )
