"""The vocabulary, the documentation of it, and what rules can name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streams.policy.conditions import Condition, Language
from streams.policy.facts import VOCABULARY, Facts, nothing_known
from streams.policy.reasons import Reason
from streams.policy.vocabulary import FactValue

DOCUMENT = Path(__file__).parents[2] / "docs" / "policy.md"


def test_facts_have_the_order_of_the_vocabulary() -> None:
    assert Facts._fields == ("purpose", *VOCABULARY)


@pytest.mark.parametrize("kind", VOCABULARY.values())
def test_each_value_is_called_what_it_is(kind: type[FactValue]) -> None:
    assert all(member.value == member.name for member in kind)


def test_every_value_of_every_fact_can_be_told_from_all_others_in_a_rule() -> None:
    language = Language(["invite", "otp"])
    values = [("purpose", "Purpose.INVITE", "invite"), ("purpose", "Purpose.OTP", "otp")]
    for fact, kind in VOCABULARY.items():
        values += [(fact, f"{kind.__name__}.{name}", name) for name in kind.__members__]
    for fact, name, value in values:
        condition = language.condition(f"{fact} == {name}")
        assert isinstance(condition, Condition)
        assert condition.facts == {fact}
        for other_fact, _, other in values:
            if other_fact == fact:
                facts = Facts.from_map(nothing_known("otp").as_map() | {fact: other})
                assert facts is not None
                assert condition.holds(language.activation(facts)) is (other == value)


def test_the_document_lists_every_fact_with_its_values() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    listed = {fact: re.findall(r"`(\w+)`", values) for fact, values in rows}
    for fact, kind in VOCABULARY.items():
        assert listed.get(fact) == list(kind.__members__), fact


def test_the_document_names_no_reason_that_is_none() -> None:
    text = DOCUMENT.read_text("utf-8")
    section = text.partition("## Reasons")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([A-Z_]{4,})`", section)) <= {reason.value for reason in Reason}
