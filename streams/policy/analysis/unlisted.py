"""
Facts that rules look at, and that a policy's registers leave without a say.

A section of a register that is missing or empty is no mistake: who has no hours needs none. But a
rule that looks at its fact then never meets what it was written for, or meets it in every message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from streams.policy.analysis.outcomes import Analysis
from streams.policy.links import LinkClass
from streams.policy.policy import Policy
from streams.policy.registers import Registers
from streams.policy.rules import Rule
from streams.policy.vocabulary import Jurisdiction


@dataclass(frozen=True, slots=True)
class Unlisted:
    """
    Something that a policy does not list, though ``rules``, in file order, look at its fact.

    ``laws`` are those under which it is not listed; null: all.
    """

    rules: tuple[Rule, ...]
    fact: str
    laws: tuple[Jurisdiction, ...] | None
    what: str
    remedy: str


_Lists = Callable[[Policy, Registers, Jurisdiction], bool]


class _Listed(NamedTuple):
    """``lists`` says whether it is there: in a policy, its registers for a law's texts, the law."""

    facts: tuple[str, ...]
    lists: _Lists
    what: str
    remedy: str


def _lists_links_of(link_class: LinkClass) -> _Lists:
    return lambda policy, here, law: here.links is None or here.links.lists(link_class)


_WANTED: Final = (
    _Listed(
        ("links", "registration"),
        lambda policy, here, law: here.links is not None,
        "there is no register of links: texts are not searched for them",
        "list your hosts under links in a register file",
    ),
    _Listed(
        ("links",),
        _lists_links_of(LinkClass.OWN),
        "links lists no host of your own: the links to your pages are FOREIGN",
        "list your hosts under own",
    ),
    _Listed(
        ("registration",),
        _lists_links_of(LinkClass.REGISTRATION),
        "links lists no page on which one registers: no link is known as one to it",
        "list it under registration, such as shop.example/join",
    ),
    _Listed(
        ("sender",),
        lambda policy, here, law: here.senders is not None,
        "there is no register of senders: nobody looks who sends",
        "list your senders under senders in a register file",
    ),
    _Listed(
        ("sender",),
        lambda policy, here, law: (
            here.senders is None
            or any(
                each.jurisdictions is None or law in each.jurisdictions
                for each in here.senders.values()
            )
        ),
        "senders lists none that is registered there: each is UNKNOWN",
        "list one, or put the jurisdiction to one that is",
    ),
    _Listed(
        ("opt_out",),
        lambda policy, here, law: here.opt_out is not None,
        "there is no register of opt-out texts: nobody looks for them",
        "list the texts that say how to stop under opt_out in a register file",
    ),
    _Listed(
        ("opt_out",),
        lambda policy, here, law: (
            here.opt_out is None or bool(here.opt_out.by_law.get(law) or here.opt_out.anywhere)
        ),
        "opt_out lists no text for there: it is MISSING in every message of its purposes",
        "list one under the jurisdiction, or under any",
    ),
    _Listed(
        ("marks",),
        lambda policy, here, law: (
            here.marks is not None and bool(here.marks.invitation or here.marks.advertising)
        ),
        "no words of invitations and advertising are listed: texts are not searched for them",
        "list them under marks in a register file",
    ),
    _Listed(
        ("quiet_hours",),
        lambda policy, here, law: policy.registers.hours is not None,
        "no hours are listed: it is never quiet",
        "list the open hours under hours in a register file",
    ),
    _Listed(
        ("frequency",),
        lambda policy, here, law: bool(policy.caps.declared),
        "there are no caps: nobody ever gets too many",
        "declare caps in policy.yaml",
    ),
)


def unlisted(analysis: Analysis) -> Iterator[Unlisted]:
    """Find what is not listed under some law, though rules that can match there look at it."""
    policy, space = analysis.policy, analysis.space
    for wanted in _WANTED:
        lacking = [
            law
            for law in Jurisdiction
            if not wanted.lists(policy, policy.registers.under(law), law)
        ]
        if not lacking:
            continue
        under = space.where("jurisdiction", [law.name for law in lacking])
        rules = tuple(
            rule
            for rule in policy.rules
            if rule.condition.facts & {*wanted.facts}
            and space.holds(analysis.matches(rule) & under)
        )
        if rules:
            read = set().union(*(rule.condition.facts for rule in rules))
            laws = None if len(lacking) == len(Jurisdiction) else tuple(lacking)
            fact = " and ".join(fact for fact in wanted.facts if fact in read)
            yield Unlisted(rules, fact, laws, wanted.what, wanted.remedy)
