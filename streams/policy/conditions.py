"""
The conditions of rules: CEL, of which a condition uses what compares facts with their values.

That is names, ``==``, ``!=``, ``in [...]``, ``&&``, ``||``, ``!``, ``? :``, parentheses, ``true``,
``false`` and ``//`` comments: no strings, numbers, functions or macros. So a misspelt value fails
at load, a condition ends in bounded time, and its facts can be listed without running it.

Each text is compiled twice: against types of their own for each fact, so that
``consent == Purpose.INVITE`` is a mistake; and against integers, which is what is run, since
cel-expr-python cannot bind values of declared types. The integers differ across all facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cel_expr_python import cel

from streams.policy.facts import VOCABULARY, Facts
from streams.policy.mistakes import nearest
from streams.policy.vocabulary import PURPOSE_TYPE

MAX_CHARACTERS = 2_000
"""Of one condition. A longer one is no rule that a person can check."""

_TOKEN = re.compile(
    r"(?P<skip>\s+|//[^\n]*)"
    r"|(?P<name>[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)"
    r"|(?P<sign>==|!=|&&|\|\||[!()\[\],?:])"
    r"|(?P<literal>[\"'][^\n]*|[0-9][\w.]*)"
    r"|(?P<other>[<>]=?|.)",
    re.ASCII | re.DOTALL,
)
_WORDS = {"and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!"}
_OF_TEXTS = frozenset({"contains", "startsWith", "endsWith"})
_CEL_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_NO_OVERLOAD = re.compile(r"found no matching overload for '@?(.+?)' applied to '\((.*)\)'")


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a condition, at the character ``offset`` of its text."""

    offset: int
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A checked condition, and the names of the facts it looks at."""

    text: str
    facts: frozenset[str]
    expression: Any

    @property
    def bare(self) -> str:
        """The text without comments, white space and brackets around all of it."""
        words = [each.group() for each in _TOKEN.finditer(self.text) if each.lastgroup != "skip"]
        while words[0] == "(" and _closing(words) == len(words) - 1:
            words = words[1:-1]
        return " ".join("".join(word.split()) for word in words)

    def holds(self, activation: object) -> bool | None:
        """
        Evaluate it on :meth:`Language.activation`; null if it could not be.

        cel-expr-python gives an error as its text, which is truthy: only a real boolean counts.
        """
        try:
            value = self.expression.eval(activation).value()
        except Exception:  # noqa: BLE001 - whatever the library raises, the rule did not answer
            return None
        return value if value is True or value is False else None


class Language:
    """The names that a policy's conditions may use: all facts, and its own purposes."""

    def __init__(self, purposes: Iterable[str]) -> None:
        """Declare every fact's values, those of ``purpose`` from the policy's ``purposes``."""
        values = {PURPOSE_TYPE: {purpose: purpose.upper() for purpose in sorted(purposes)}}
        for kind in VOCABULARY.values():
            values[kind.__name__] = {name: name for name in kind.__members__}
        self._types = {"purpose": PURPOSE_TYPE} | {
            fact: kind.__name__ for fact, kind in VOCABULARY.items()
        }
        self._type_of_name = dict(self._types)
        self._codes: dict[tuple[str, str], int] = {}
        constants: dict[str, int] = {}
        for type_name, members in values.items():
            for value, name in members.items():
                self._type_of_name[f"{type_name}.{name}"] = type_name
                self._codes[type_name, value] = constants[f"{type_name}.{name}"] = len(constants)
        self._constants = constants
        self._checking = cel.NewEnv(
            variables={
                name: cel.Type.AbstractType(type_name)
                for name, type_name in self._type_of_name.items()
            }
        )
        self._running = cel.NewEnv(
            variables=dict.fromkeys(self._type_of_name, cel.Type.INT),
        )

    def activation(self, facts: Facts) -> object:
        """Bind every name for one evaluation of any number of conditions."""
        recorded = facts.as_map()
        bound = {
            fact: self._codes[type_name, recorded[fact]] for fact, type_name in self._types.items()
        }
        return self._running.Activation(self._constants | bound)

    def condition(self, text: str) -> Condition | list[Flaw]:
        """Check and compile ``text``, or list its flaws: at least one, in order."""
        if len(text) > MAX_CHARACTERS:
            return [Flaw(0, f"the condition is over {MAX_CHARACTERS} characters", "split the rule")]
        used: set[str] = set()
        flaws = list(self._flaws_of_words(text, used))
        if not flaws:
            flaws = self._flaws_of_types(text)
        if not flaws and not used:
            flaws = [Flaw(0, "the condition looks at no fact", "compare a fact with a value")]
        if flaws:
            return flaws
        return Condition(text, frozenset(used), self._running.compile(text))

    def _flaws_of_words(self, text: str, used: set[str]) -> Iterator[Flaw]:
        """Look at each word by itself, and put the facts among them into ``used``."""
        brackets: list[str | None] = []
        previous = ""
        for token in _TOKEN.finditer(text):
            word, at = token.group(), token.start()
            match token.lastgroup:
                case "name":
                    name = "".join(word.split())
                    if name in self._types:
                        used.add(name)
                    flaw = self._flaw_of_name(name, at)
                    if flaw is not None:
                        yield flaw
                    elif brackets:
                        of_type = self._type_of_name.get(name)
                        if brackets[-1] not in (None, of_type):
                            yield Flaw(
                                at,
                                f"{name} stands in a list of {brackets[-1]} values",
                                "keep to values of one fact in a list",
                            )
                        brackets[-1] = brackets[-1] or of_type
                case "sign":
                    if word == "[":
                        brackets.append(None)
                    elif word == "]":
                        if previous == "[":
                            yield Flaw(at, "the list is empty", "name the values, or drop the rule")
                        if brackets:
                            brackets.pop()
                case "literal":
                    yield Flaw(
                        at,
                        "strings and numbers are not part of conditions",
                        "compare a fact with a declared value, such as consent == Consent.GRANTED",
                    )
                    return
                case "other":
                    yield Flaw(at, f"`{word}` is not part of conditions", _remedy_for_sign(word))
                    return
                case _:
                    continue
            previous = word

    def _flaw_of_name(self, name: str, at: int) -> Flaw | None:
        if name in self._type_of_name or name in ("true", "false", "in"):
            return None
        if name in _WORDS:
            return Flaw(at, f"`{name}` is not part of conditions", f"write {_WORDS[name]}")
        types = set(self._types.values())
        method = name.rpartition(".")[2]
        if method == "matches":
            return Flaw(
                at,
                f"there is no {name}: regular expressions are not part of conditions",
                "compare a fact with its declared values: texts are looked at by registers",
            )
        if method in _OF_TEXTS:
            return Flaw(
                at,
                f"there is no {name}: facts are not texts",
                "compare the fact with its declared values",
            )
        kind, dot, value = name.partition(".")
        if kind in types:
            prefix = f"{kind}."
            valid = {
                known.removeprefix(prefix)
                for known in self._type_of_name
                if known.startswith(prefix)
            }
            what = f"there is no {name}" if dot else f"{kind} is not a value by itself"
            return Flaw(at, what, nearest(value, valid, prefix))
        valid = set(self._types) if "." not in name else set(self._type_of_name)
        return Flaw(at, f"there is no {name}", nearest(name, valid))

    def _flaws_of_types(self, text: str) -> list[Flaw]:
        """Let CEL parse and type-check it, and word what it says for people."""
        try:
            result = self._checking.compile(text).return_type()
        except Exception as error:  # noqa: BLE001 - the library declares no type of its own
            said = str(error)
            found = [_worded(match, text) for match in _CEL_ERROR.finditer(said)]
            if not found:
                return [Flaw(0, "not a condition", "write comparisons joined by && and ||")]
            # After a syntax error the parser guesses: what it says next is about its guess.
            return found[:1] if "Syntax error" in said else found
        if result != cel.Type.BOOL:
            return [
                Flaw(
                    0,
                    f"the condition is a {result.name()}, neither true nor false",
                    "compare it with a value, using == or in",
                )
            ]
        return []


def _closing(words: list[str]) -> int:
    """Find what closes the bracket that ``words`` begin with."""
    depth = 0
    for place, word in enumerate(words):
        depth += (word == "(") - (word == ")")
        if depth == 0:
            return place
    raise ValueError("a condition that compiles closes its brackets")


def _worded(match: re.Match[str], text: str) -> Flaw:
    line, column, message = int(match[1]), int(match[2]), match[3]
    offset = sum(len(passed) + 1 for passed in text.split("\n")[: line - 1]) + column - 1
    overload = _NO_OVERLOAD.search(message)
    if overload:
        operator = overload[1].replace("_", " ").strip()
        return Flaw(
            offset,
            f"`{operator}` cannot take {overload[2].replace(', ', ' and ')}",
            "compare each fact with values of its own type, and join comparisons",
        )
    what = message.removeprefix("Syntax error: ").partition(" expecting {")[0]
    return Flaw(offset, f"not a condition: {what}", "look for a missing sign or bracket here")


def _remedy_for_sign(sign: str) -> str:
    if sign == "=":
        return "write == to compare"
    if sign[0] in "<>":
        return "facts have no order: compare with == or in"
    return "write &&, ||, !, ==, != or in"
