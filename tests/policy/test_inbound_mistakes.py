# ruff: noqa: E501 - a row of these tables is a line
"""
Mistakes made systematically: in every fact, every reason, every key, and files that mean harm.

Beside the hand-written ones of ``test_mistakes.py``. Each must be found at load, with its file,
line and column, and a remedy that names what was meant where that can be told.
"""

from __future__ import annotations

import re
from time import process_time

import pytest

from streams.errors import PolicyInvalid
from streams.policy.facts import VOCABULARY
from streams.policy.policy import load_policy_files
from streams.policy.reasons import GIVEN_BY_THE_GATE, Reason
from streams.records.decisions import Outcome
from tests.policy.test_mistakes import MANIFEST, mistakes_of, rule

FACTS = list(VOCABULARY)


def at(found: list[str], line: int, column: int) -> str:
    """The only mistake at this place of the rule file."""
    here = [each for each in found if each.startswith(f"pack/rules.yaml:{line}:{column}: ")]
    assert len(here) == 1, found
    return here[0]


def last_value(fact: str) -> str:
    return list(VOCABULARY[fact].__members__)[-1]


# --- 5 mistakes in each fact ---------------------------------------------------------------------


@pytest.mark.parametrize("fact", FACTS)
def test_a_typo_in_a_fact(fact: str) -> None:
    typo = fact[:-2] + fact[-1] + fact[-2]
    kind = VOCABULARY[fact].__name__
    found = mistakes_of(rule(when=f"{typo} == {kind}.{last_value(fact)}"))
    assert at(found, 4, 11).endswith(f"there is no {typo}; did you mean {fact}?")


@pytest.mark.parametrize("fact", FACTS)
def test_a_typo_in_a_value(fact: str) -> None:
    kind, value = VOCABULARY[fact].__name__, last_value(fact)
    found = mistakes_of(rule(when=f"{fact} == {kind}.{value}X"))
    assert at(found, 4, 15 + len(fact)).endswith(
        f"there is no {kind}.{value}X; did you mean {kind}.{value}?"
    )


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_written_with_a_capital(fact: str) -> None:
    kind = VOCABULARY[fact].__name__
    found = mistakes_of(rule(when=f"{kind} == {kind}.{last_value(fact)}"))
    assert f"{kind} is not a value by itself; " in at(found, 4, 11)


@pytest.mark.parametrize("fact", FACTS)
def test_a_value_of_another_fact(fact: str) -> None:
    other = FACTS[FACTS.index(fact) - 1]
    kind, others = VOCABULARY[fact].__name__, VOCABULARY[other].__name__
    found = mistakes_of(rule(when=f"{fact} == {others}.{last_value(other)}"))
    mistake = at(found, 4, 12 + len(fact))
    assert f"`==` cannot take {kind} and {others}; " in mistake
    assert mistake.endswith("compare each fact with values of its own type, and join comparisons")


@pytest.mark.parametrize("fact", FACTS)
def test_a_value_written_as_text(fact: str) -> None:
    found = mistakes_of(rule(when=f"{fact} == '{last_value(fact)}'"))
    assert "strings and numbers are not part of conditions; " in at(found, 4, 15 + len(fact))


# --- reasons -------------------------------------------------------------------------------------


MAY_BE_NAMED = [reason.value for reason in Reason if reason not in GIVEN_BY_THE_GATE]


@pytest.mark.parametrize("code", MAY_BE_NAMED)
def test_a_typo_in_a_reason(code: str) -> None:
    found = mistakes_of(rule(reason=code[1:]))
    assert at(found, 6, 13).endswith(f"there is no reason {code[1:]}; did you mean {code}?")


@pytest.mark.parametrize("reason", sorted(GIVEN_BY_THE_GATE, key=lambda each: each.severity))
def test_a_reason_that_only_the_gate_gives(reason: Reason) -> None:
    found = mistakes_of(rule(reason=reason.value))
    assert at(found, 6, 13).endswith("is given by the gate itself; take the rule out")


@pytest.mark.parametrize(
    "code", [code for code in MAY_BE_NAMED if Reason[code].outcome is Outcome.DROPPED]
)
def test_a_reason_that_drops_made_to_hold(code: str) -> None:
    found = mistakes_of(rule(reason=code, then="quarantine"))
    assert at(found, 6, 13).endswith(f"outcome for {code}; write `then: drop`")


# --- wrong types and shapes ----------------------------------------------------------------------


@pytest.mark.parametrize("key", ["id", "text", "when", "then", "reason"])
@pytest.mark.parametrize(
    ("value", "what"),
    [("[a, b]", "a list"), ("{a: b}", "a mapping"), ("12", "`12`"), ("~", "`~`"), ("", "left empty")],
)  # fmt: skip
def test_something_else_than_text(key: str, value: str, what: str) -> None:
    line = ["id", "text", "when", "then", "reason"].index(key) + 2
    # An empty value has its place right behind the colon.
    column = 5 + len(key) + (2 if value else 1)
    found = mistakes_of(rule(**{key: value}))
    assert at(found, line, column).endswith(
        f"{key} is {what}; write text here, in quotes if need be"
    )


@pytest.mark.parametrize("key", ["when", "then", "reason", "cites", "from", "until"])
def test_a_typo_in_a_key(key: str) -> None:
    written = rule(from_="2027-01-01", until="2028-01-01").replace(f"    {key}: ", f"    {key}s: ")
    assert any(
        f"a rule has no {key}s; did you mean {key}?" in each for each in mistakes_of(written)
    )


@pytest.mark.parametrize(
    ("begins", "ends"),
    [("2027-01-02", "2027-01-01"), ("2027-01-01", "2027-01-01"), ("2028-02-29", "2027-02-28")],
)
def test_days_that_end_before_they_begin(begins: str, ends: str) -> None:
    assert at(mistakes_of(rule(from_=begins, until=ends)), 9, 12).endswith("write a day after from")


@pytest.mark.parametrize("key", ["from", "until"])
@pytest.mark.parametrize(
    "day", ["2027-13-01", "2027-02-29", "31.01.2027", "January", "2027", "2027-01-01T10:00:00Z", "[]"]
)  # fmt: skip
def test_what_is_no_day(key: str, day: str) -> None:
    found = mistakes_of(rule(**{f"{key}_": day}))
    assert at(found, 8, 7 + len(key)).endswith("write it as year-month-day, 2027-01-31")


# --- what a condition must not hold --------------------------------------------------------------


@pytest.mark.parametrize(
    "when",
    [
        "purpose.matches('(a+)+$')",
        "matches(purpose, '(x*)*y')",
        "purpose.contains('invite')",
        "'(a|a)*b'.matches(purpose)",
        "[1, 2].all(x, x > 0)",
        "has(purpose.name)",
        "purpose + purpose == purpose",
        "size([consent]) == 1",
        "timestamp('2027-01-01T00:00:00Z') > now",
        "{1: 2}[1] == 2",
        "consent == Consent.NONE; drop",
        "consent == Consent.NONE & true",
        "consent === Consent.NONE",
        "!consent",
        "consent == Consent.NONE && (member == Member.NO",
        "consent == Consent.NONE)",
        "consent == && Consent.NONE",
        "consent in [Consent.NONE,, Consent.GRANTED]",
        "consent ? member : names",
        "null == consent",
    ],
)
def test_what_is_no_comparison_of_facts(when: str) -> None:
    quoted = when.replace("'", "''")
    found = mistakes_of(rule(when=f"'{quoted}'"))
    shape = re.compile(r"pack/rules\.yaml:4:\d+: .+; .+")
    assert all(shape.fullmatch(each) for each in found), found


# --- files that mean harm ------------------------------------------------------------------------

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [*{before}, *{before}, *{before}, *{before}, *{before}, *{before}]\n"
    for before, name in zip("abcdefghijk", "bcdefghijkl", strict=True)
)
BOMBS = {
    "a billion laughs": (LAUGHS, 1),
    "an anchor on itself": ("a: &a [*a]\n", 1),
    "merged keys": ("a: &a {b: c}\nrules: {<<: *a}\n", 1),
    "lists a hundred thousand deep": ("rules: " + "[" * 100_000, 1),
    "mappings a hundred thousand deep": ("{a: " * 100_000, 1),
    "a sequence of one-line depths": ("- " * 100_000 + "x\n", 1),
    "a file of ten megabytes": ("rules:\n" + "  # x\n" * 1_500_000, 1),
    "a Python object": ('rules: !!python/object/apply:os.system ["true"]\n', 1),
    "a Python name": ("rules: !!python/name:os.system\n", 1),
    "a tag of one's own": ("rules: !mine x\n", 1),
    "many documents": ("---\n" * 10_000, 2),
    "a directive": ("%YAML 9.9\n---\nrules: []\n", 1),
    "control characters": ("rules: \x00\x01\n", 1),
    "a half surrogate's escape": ('rules: "\\ud800"\n', 1),
    "binary": ("rules: !!binary aGk=\n", 1),
    "an unclosed quote": ("rules: 'a\n" + "b\n" * 1000, 1),
    "a key that is a list": ("? [a, b]\n: c\n", 1),
    "an endless key": ("a" * 200_000 + ": b\n", 1),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_file_that_means_harm_is_refused_at_once(name: str) -> None:
    source, line = BOMBS[name]
    began = process_time()
    with pytest.raises(PolicyInvalid) as invalid:
        load_policy_files({"policy.yaml": MANIFEST, "rules.yaml": source}, "pack/")
    # Reading the harm goes in time that is linear in the file.
    assert process_time() - began < 5
    first = str(invalid.value).splitlines()[0]
    shape = re.compile(r"pack/(rules|policy)\.yaml:(\d+):\d+: .+; .+")
    match = shape.fullmatch(first)
    assert match is not None, first
    assert int(match[2]) >= line
