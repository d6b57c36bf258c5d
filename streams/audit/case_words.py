"""What came of a made-up case, for somebody who wrote it and wants to know why. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from streams.audit.meanings import OUTCOMES, REFUSALS, reason_meaning, what_becomes
from streams.audit.origins import origins
from streams.audit.trying import Tried
from streams.audit.words import WIDTH, time_in_words, what_would_have_allowed, wrapped
from streams.policy.analysis.change import smallest_change
from streams.policy.analysis.outcomes import Analysis
from streams.policy.facts import nothing_known
from streams.policy.rules import Rule, Then


def case_in_words(tried: Tried, analysis: Analysis) -> str:
    """Write what was decided and why as text of at most 96 columns; no number, no name, no body."""
    paragraphs = [
        "\n".join(lines)
        for lines in (
            list(_verdict(tried, analysis)),
            list(_why(tried, analysis)),
            list(_observed(tried)),
            list(_refused(tried)),
            list(_facts(tried)),
            list(_change(tried, analysis)),
        )
        if lines
    ]
    return "\n\n".join(paragraphs) + "\n"


def _verdict(tried: Tried, analysis: Analysis) -> Iterator[str]:
    case = tried.case
    yield f"{case.id}: {tried.outcome.value}"
    happened = OUTCOMES[tried.outcome].replace("was ", "would be ", 1).partition(":")[0]
    yield from wrapped(
        f"The {case.request.purpose} message {happened} on {time_in_words(case.at)}."
    )
    if tried.hold_until is not None:
        yield from wrapped(f"It would be decided again on {time_in_words(tried.hold_until)}.")
    if tried.releasable:
        yield from wrapped(
            "A reviewer could release it."
            if _has_basis(tried, analysis)
            else "A reviewer could release it, but no rule allows it: it would then be dropped."
        )


def _has_basis(tried: Tried, analysis: Analysis) -> bool:
    """Whether a rule in force allows it, whatever objects."""
    rules = analysis.in_force(analysis.at(tried.case.at))
    allowing = analysis.union(rule for rule in rules if rule.then is Then.ALLOW)
    point = analysis.space.point(tried.assessment.facts.as_map())
    return analysis.space.holds(point & allowing)


def _why(tried: Tried, analysis: Analysis) -> Iterator[str]:
    yield "Why"
    policy = analysis.policy
    if tried.basis is not None:
        allowing = policy.rule_for_basis(tried.basis)
        if allowing is not None:
            yield from _rule(f"No rule objects, and {tried.basis} allows it.", allowing)
        return
    objecting = policy.objections(tried.assessment.facts, tried.case.at)
    for reason in tried.reasons:
        code = reason.value
        rules = [rule for rule in objecting if rule.reason is reason]
        heading = f"{code}: {reason_meaning(code)} ({what_becomes(code)})"
        if not rules:
            yield from wrapped(heading)
        for place, rule in enumerate(rules):
            yield from _rule(heading if place == 0 else f"{code} too:", rule)


def _observed(tried: Tried) -> Iterator[str]:
    if tried.observed:
        yield "Had no effect"
    for rule in tried.observed:
        yield from _rule("Observed, not enforced:", rule)


def _rule(heading: str, rule: Rule) -> Iterator[str]:
    yield from wrapped(heading)
    yield from wrapped(f"Rule {rule.id} ({rule.file}:{rule.line}): {rule.text}", indent=4)
    for source in rule.cites:
        yield from wrapped(f"Source: {source}", indent=6)


def _refused(tried: Tried) -> Iterator[str]:
    if tried.refused:
        yield "Not applied"
    for item, refusal in tried.refused:
        yield from wrapped(f"The event of line {item.line}: {REFUSALS[refusal]}.")


def _facts(tried: Tried) -> Iterator[str]:
    """The facts that say something, each with how it came about; then the names of the rest."""
    yield "Facts"
    facts = tried.assessment.facts.as_map()
    absent = nothing_known("").as_map()
    came = origins(tried)
    said = [fact for fact, value in facts.items() if value != absent[fact] or fact == "initiator"]
    said.sort(key=lambda fact: fact != "purpose")
    name_width = max(map(len, said))
    value_width = max(len(facts[fact]) for fact in said)
    for fact in said:
        front = f"  {fact:<{name_width}}  {facts[fact]:<{value_width}}  "
        yield from textwrap.wrap(
            came[fact], WIDTH, initial_indent=front, subsequent_indent=" " * len(front)
        )
    rest = [f"{fact} {value}" for fact, value in facts.items() if fact not in said]
    if rest:
        yield from wrapped(f"Nothing is known that bears on the others: {', '.join(rest)}.")


def _change(tried: Tried, analysis: Analysis) -> Iterator[str]:
    facts = tried.assessment.facts
    yield from what_would_have_allowed(smallest_change(analysis, facts, tried.case.at))
