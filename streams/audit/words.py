"""An explanation in plain words, for somebody who was not there. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from streams.audit.explain import Explanation, ReasonGiven, RuleSaid
from streams.audit.meanings import (
    EVENTS,
    OUTCOMES,
    REFUSALS,
    SOURCES,
    fact_meaning,
    reason_meaning,
    what_becomes,
)
from streams.policy.analysis.change import Change
from streams.records.decisions import LedgerRecord, SmsDecision
from streams.records.events import ConsentKind

WIDTH: Final = 96
"""Columns of an explanation."""


def in_words(explanation: Explanation) -> str:
    """Write the explanation as text of at most 96 columns, no line of which holds a number."""
    paragraphs = [
        "\n".join(lines)
        for lines in (
            list(_verdict(explanation)),
            list(_why(explanation)),
            list(_without_effect(explanation)),
            list(what_would_have_allowed(explanation.smallest_change)),
            list(_consent(explanation)),
            list(_facts(explanation.decision)),
            list(_seen(explanation)),
        )
        if lines
    ]
    return "\n\n".join(paragraphs) + "\n"


def in_a_line(decision: SmsDecision) -> str:
    """Write a decision as a line of a list."""
    why = ", ".join(decision.reasons) or decision.basis or ""
    return (
        f"{time_in_words(decision.decided_at)}  {decision.decision_id}  {decision.purpose}  "
        f"{decision.verdict.value}  {why}"
    )


def time_in_words(milliseconds: int) -> str:
    """Write a time to the second, in UTC."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _verdict(explanation: Explanation) -> Iterator[str]:
    decision = explanation.decision
    yield f"Decision {decision.decision_id}"
    campaign = f", campaign {decision.campaign_id}" if decision.campaign_id else ""
    yield from wrapped(
        f"The {decision.purpose} message of sender {decision.sender_id}{campaign} (request "
        f"{decision.request_id}) {OUTCOMES[decision.verdict]}."
    )
    yield from wrapped(f"Decided on {time_in_words(decision.decided_at)}{_attempt(decision)}.")
    if decision.hold_until is not None:
        yield from wrapped(f"To be decided again after {time_in_words(decision.hold_until)}.")


def _attempt(decision: SmsDecision) -> str:
    if decision.attempt == 0:
        return ""
    return f", as attempt {decision.attempt}: it had been held before"


def _why(explanation: Explanation) -> Iterator[str]:
    yield "Why"
    decision = explanation.decision
    if explanation.allowed_by is not None:
        yield from wrapped(f"Nothing objected, and it was allowed on the basis {decision.basis}.")
        yield from _rule(explanation.allowed_by)
    elif decision.basis is not None:
        yield from wrapped(
            f"Nothing objected, and it was allowed on the basis {decision.basis} (policy: "
            f"{explanation.policy})."
        )
    for reason in explanation.reasons:
        yield from _reason(reason)


def _reason(reason: ReasonGiven) -> Iterator[str]:
    becomes = what_becomes(reason.code)
    yield from wrapped(
        f"{reason.code}: {reason_meaning(reason.code)}" + (f" ({becomes})" if becomes else "")
    )
    for rule in reason.rules:
        yield from _rule(rule)


def _without_effect(explanation: Explanation) -> Iterator[str]:
    """What was tried out beside the policy: rules to observe, and a candidate."""
    decision, told = explanation.decision, {rule.id: rule for rule in explanation.observed}
    if decision.observed or decision.shadow is not None:
        yield "Had no effect"
    for rule_id in decision.observed:
        yield from wrapped(f"Observed, not enforced: rule {rule_id} matched.")
        if rule_id in told:
            yield from _rule(told[rule_id])
    if decision.shadow is not None:
        shadow = decision.shadow
        why = f": {', '.join(shadow.reasons)}" if shadow.reasons else ""
        yield from wrapped(
            f"The candidate policy {shadow.policy_version} made it {shadow.verdict.value}{why}."
        )


def _rule(rule: RuleSaid) -> Iterator[str]:
    yield from wrapped(f"Rule {rule.id} ({rule.file}:{rule.line}): {rule.text}", indent=4)
    for source in rule.cites:
        yield from wrapped(f"Source: {source}", indent=6)


def what_would_have_allowed(changes: tuple[Change, ...] | None) -> Iterator[str]:
    """Write which facts would have had to be others for a message to pass; nothing if it did."""
    if changes == ():
        return
    yield "What would have allowed it"
    if changes is None:
        yield from wrapped("Nothing: no rule allows any message of this purpose.")
        return
    yield from wrapped("The smallest change of facts by which it would have passed:")
    for change in changes:
        yield from wrapped(
            f"{change.fact} is {change.is_}, and would have to be {change.would_be}. "
            f"{fact_meaning(change.fact)}",
            indent=4,
        )


def _consent(explanation: Explanation) -> Iterator[str]:
    yield "Consent"
    decision, consent = explanation.decision, explanation.consent
    if consent is not None:
        yield from wrapped(f"What counted: {_event(consent)}.")
    elif decision.consent_event_id is not None:
        yield from wrapped(
            f"What counted: event {decision.consent_event_id}, which the ledger does not have (any "
            "more)."
        )
    else:
        yield from wrapped("The person had said nothing that concerns such a message.")
    if not explanation.since:
        yield from wrapped("Since then nothing that concerns such a message has come.")
        return
    yield from wrapped(
        "This has changed since then:"
        if explanation.changed_since
        else "Since then this has come, but was not applied:"
    )
    for record in explanation.since:
        yield from wrapped(_event(record), indent=4)


def _event(record: LedgerRecord) -> str:
    what = EVENTS[record.kind]
    if record.purpose is not None:
        what += f" ({record.purpose})"
    limits = [
        f"{name} {value}"
        for name, value in (("sender", record.sender_id), ("campaign", record.campaign_id))
        if value is not None
    ]
    if limits:
        what += f", for {' and '.join(limits)} only"
    if record.conditional:
        what += ", bundled with something else"
    if record.kind is ConsentKind.GRANTED:
        what += f", {record.basis.value.lower().replace('_', ' ')}"
    refused = f", refused: {REFUSALS[record.refusal]}" if record.refusal is not None else ""
    return (
        f"{time_in_words(record.occurred_at)}: {what}, {SOURCES[record.source]} (event "
        f"{record.event_id}, appended "
        f"{time_in_words(record.appended_at)}, consent.events {record.partition} offset "
        f"{record.offset}, ledger sequence {record.sequence}){refused}"
    )


def _facts(decision: SmsDecision) -> Iterator[str]:
    yield "Facts"
    name_width = max((len(name) for name in decision.facts), default=0)
    value_width = max((len(value) for value in decision.facts.values()), default=0)
    for name, value in decision.facts.items():
        front = f"  {name:<{name_width}}  {value:<{value_width}}  "
        meaning = textwrap.shorten(fact_meaning(name), WIDTH - len(front), placeholder=" …")
        yield (front + meaning).rstrip()


def _seen(explanation: Explanation) -> Iterator[str]:
    decision = explanation.decision
    yield "What it was decided from"
    yield from wrapped(f"Policy {decision.policy_version[:16]} ({explanation.policy}).")
    yield from wrapped(
        f"The request at sms.requested {decision.request_partition} offset "
        f"{decision.request_offset}."
    )
    offsets = {
        "consent.events": decision.consent_offset,
        "contacts.entries": decision.contacts_offset,
        **decision.broadcast_offsets,
    }
    yield from wrapped(
        "Everything before these offsets: "
        + ", ".join(f"{topic} {offset}" for topic, offset in offsets.items())
        + "."
    )
    yield from wrapped(
        f"It is number {decision.sequence} in the chain of its partition's decisions."
    )


def wrapped(text: str, indent: int = 2) -> list[str]:
    """Break a paragraph into lines of at most :data:`WIDTH`, further ones indented by two more."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
