"""One rule of a policy: what it says to people, what it asks of the facts, what follows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import Enum

import yaml

from streams.policy.conditions import Condition, Language
from streams.policy.documents import Document, Text
from streams.policy.mistakes import nearest
from streams.policy.reasons import GIVEN_BY_THE_GATE, Reason
from streams.policy.vocabulary import Jurisdiction
from streams.records.decisions import Outcome


class Then(Enum):
    """What a rule does when its condition holds."""

    DROP = "drop"
    QUARANTINE = "quarantine"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One rule, checked.

    An objection (drop, quarantine) has a ``reason``, an ``allow`` has a ``basis``, which no other
    rule of the policy has. ``text`` and ``cites`` are for people. It is in force on UTC days from
    ``from_day`` on and before ``until_day``; null: no such limit. One to ``observe`` is recorded
    where it matches, and neither objects nor allows.
    """

    id: str
    text: str
    condition: Condition
    then: Then
    reason: Reason | None
    basis: str | None
    cites: tuple[str, ...]
    from_day: date | None
    until_day: date | None
    file: str
    line: int
    observe: bool = False

    def in_force(self, day: date | None) -> bool:
        """Whether it is in force on ``day``; null: before the first day that any rule names."""
        if day is None:
            return self.from_day is None
        return (self.from_day is None or self.from_day <= day) and (
            self.until_day is None or day < self.until_day
        )

    def says_the_same(self, other: Rule) -> bool:
        """
        Whether both object for one reason, or both allow, under a condition written the same way.

        They may differ in whether they drop or hold, in what a yes rests on, and in their days.
        """
        return self.reason is other.reason and self.condition.bare == other.condition.bare

    def both_in_force(self, other: Rule) -> tuple[date | None, date | None] | None:
        """Give the days on which ``other`` is in force, too: their first, and the first after."""
        first = max(filter(None, (self.from_day, other.from_day)), default=None)
        end = min(filter(None, (self.until_day, other.until_day)), default=None)
        return None if first is not None and end is not None and first >= end else (first, end)


_REQUIRED = ("id", "text", "when", "then", "cites")
_OPTIONAL = ("reason", "basis", "from", "until", "observe")
_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_CODE = "write lower-case words joined by hyphens, such as no-consent"
_RULES_MAY_GIVE = {reason.value: reason for reason in Reason if reason not in GIVEN_BY_THE_GATE}


class RuleReader:
    """Reads the rules of one policy, file by file, and sees to what must be unique among them."""

    def __init__(
        self, language: Language, law: Jurisdiction | None = None, folder: str = ""
    ) -> None:
        """
        Read rules whose conditions are in ``language``.

        Those of a pack count under one ``law`` only, and have its ``folder`` before their ids and
        bases: ``cn/no-consent``.
        """
        self._language = language
        self._law = law
        self._prefix = f"{folder}/" if folder else ""
        self._ids: dict[str, str] = {}
        self._bases: dict[str, str] = {}
        self._read: list[Rule] = []

    def read(self, document: Document) -> list[Rule]:
        """Read a rule file. A rule with a mistake is left out, and the mistake recorded."""
        if document.root is None:
            return []
        top = document.mapping(document.root, "a rule file", ("rules",), ())
        if "rules" not in top:
            return []
        rules = [self._rule(document, node) for node in document.items(top["rules"], "rules")]
        return [rule for rule in rules if rule is not None]

    def _rule(self, document: Document, node: yaml.Node) -> Rule | None:
        entries = document.mapping(node, "a rule", _REQUIRED, _OPTIONAL)
        read = {
            key: document.text(entries[key], key)
            for key in ("id", "text", "when", "then", "reason", "basis")
            if key in entries
        }
        rule_id = self._unique(document, read.get("id"), "id", self._ids)
        then = _then(document, read.get("then"))
        reason = _reason(document, node, read.get("reason"), then, stated="reason" in entries)
        basis = self._basis(document, node, read.get("basis"), then, stated="basis" in entries)
        condition = self._condition(document, read.get("when"), then)
        cites = document.texts(entries["cites"], "cites") if "cites" in entries else []
        from_day, until_day = _days(document, entries)
        observe = document.boolean(entries["observe"], "observe") if "observe" in entries else False
        text = read.get("text")
        if rule_id is None or then is None or condition is None or text is None or not cites:
            return None
        rule = Rule(
            self._prefix + rule_id,
            " ".join(text.value.split()),
            condition,
            then,
            reason,
            None if basis is None else self._prefix + basis,
            tuple(" ".join(source.value.split()) for source in cites),
            from_day,
            until_day,
            document.name,
            node.start_mark.line + 1,
            bool(observe),
        )
        self._refuse_overlapping_versions(document, rule, entries)
        self._read.append(rule)
        return rule

    def _refuse_overlapping_versions(
        self, document: Document, rule: Rule, entries: dict[str, yaml.Node]
    ) -> None:
        """
        See that of rules that say the same, of which one has days, one at most is in force.

        They are versions of one rule, and on days that have two of them it is not clear which was
        meant. Rules without days that say the same are what `policy check` warns of.
        """
        dated = entries.get("from") or entries.get("until")
        for other in self._read:
            if not (dated or other.from_day or other.until_day):
                continue
            days = rule.both_in_force(other)
            if days is None or other.observe is not rule.observe or not rule.says_the_same(other):
                continue
            first, end = days
            document.wrong(
                dated or entries["id"],
                f"{rule.id} and {other.id} ({other.file}:{other.line}) say the same, and both are "
                f"in force {_days_in_words(first, end)}",
                "let `until` of the one be `from` of the other, or keep one of them",
            )

    def _unique(
        self, document: Document, text: Text | None, what: str, taken: dict[str, str]
    ) -> str | None:
        if text is None:
            return None
        if not _ID.fullmatch(text.value):
            document.wrong(text, f"{text.value!r} cannot be {what}", _CODE)
            return None
        place = f"{document.name}:{text.line}"
        if taken.setdefault(text.value, place) != place:
            document.wrong(
                text,
                f"the {what} {text.value} is taken by {taken[text.value]}",
                "choose another, each version its own, since decisions are explained by it",
            )
            return None
        return text.value

    def _basis(
        self,
        document: Document,
        node: yaml.Node,
        text: Text | None,
        then: Then | None,
        *,
        stated: bool,
    ) -> str | None:
        if then is Then.ALLOW and not stated:
            document.wrong(node, "an allowing rule lacks basis", "say what the yes rests on")
        if then in (Then.DROP, Then.QUARANTINE) and text is not None:
            document.wrong(text, "an objecting rule has no basis", "take it out, and give a reason")
            return None
        return self._unique(document, text, "basis", self._bases)

    def _condition(
        self, document: Document, text: Text | None, then: Then | None
    ) -> Condition | None:
        if text is None:
            return None
        checked = self._language.condition(text.value)
        if isinstance(checked, list):
            for flaw in checked:
                document.wrong_inside(text, flaw.offset, flaw.what, flaw.remedy)
            return None
        if then is Then.ALLOW and "purpose" not in checked.facts:
            document.wrong(
                text,
                "an allowing rule does not look at the purpose",
                "say for which purpose, such as purpose == Purpose.MARKETING && ...",
            )
            return None
        if self._law is None:
            return checked
        guarded = self._language.condition(
            f"jurisdiction == Jurisdiction.{self._law.name} && (\n{text.value}\n)"
        )
        if isinstance(guarded, list):
            for flaw in guarded:
                document.wrong(text, flaw.what, flaw.remedy)
            return None
        return guarded


def _days_in_words(first: date | None, end: date | None) -> str:
    begin = f"from {first} on" if first else ""
    return " ".join(filter(None, (begin, f"until {end}" if end else ""))) or "on all days"


def _then(document: Document, text: Text | None) -> Then | None:
    if text is None:
        return None
    try:
        return Then(text.value)
    except ValueError:
        remedy = nearest(text.value, [then.value for then in Then])
        document.wrong(text, f"then cannot be {text.value!r}", remedy)
        return None


def _reason(
    document: Document, node: yaml.Node, text: Text | None, then: Then | None, *, stated: bool
) -> Reason | None:
    if then in (Then.DROP, Then.QUARANTINE) and not stated:
        document.wrong(node, "an objecting rule lacks reason", "name one of the catalogue")
    if text is None:
        return None
    if then is Then.ALLOW:
        document.wrong(text, "an allowing rule has no reason", "take it out, and give a basis")
        return None
    reason = Reason.__members__.get(text.value)
    if reason is None:
        document.wrong(
            text, f"there is no reason {text.value}", nearest(text.value, _RULES_MAY_GIVE)
        )
        return None
    if reason in GIVEN_BY_THE_GATE:
        document.wrong(text, f"{reason.value} is given by the gate itself", "take the rule out")
        return None
    if then is Then.QUARANTINE and reason.outcome is Outcome.DROPPED:
        document.wrong(
            text,
            f"quarantine is milder than the catalogue's outcome for {reason.value}",
            "write `then: drop`",
        )
        return None
    return reason


def _days(document: Document, entries: dict[str, yaml.Node]) -> tuple[date | None, date | None]:
    from_day = document.day(entries["from"], "from") if "from" in entries else None
    until_day = document.day(entries["until"], "until") if "until" in entries else None
    if from_day is not None and until_day is not None and from_day >= until_day:
        document.wrong(
            entries["until"],
            "the rule is never in force: until is its first day without force",
            "write a day after from",
        )
    return from_day, until_day
