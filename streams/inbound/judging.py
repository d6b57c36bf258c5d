"""
From what was found in a reply to what it means, for one language.

The order of the questions is the order of the code. Each answer has its :class:`Why`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from streams.inbound.finding import Segment
from streams.inbound.folding import is_word_by_itself, joined
from streams.inbound.lists import STOPS, Role
from streams.inbound.meaning import Meaning, Reading, Why

FEW_WORDS = 8
"""
Among how many unknown words a sentence that asks to stop still asks. "Stop texting me, I have voted
already" does; in a long story somebody else may be asking somebody else. Smaller sends more to
review, larger withdraws more by mistake.
"""

NAME_WORDS = 3
"""How many unknown words may be a sender's or a campaign's name: "STOP Corner Coffee Shop"."""

LEADING_WORDS = 2
"""How many unknown words after a common word may be a name: "CANCEL Corner Coffee". With more of
them people cancel dinners and remove onions."""

SURE_LETTERS = 8
"""From which length on a mended word is sure even among unknown words: few words are that near."""

_CHANGES_NOTHING: frozenset[Role | None] = frozenset({Role.COURTESY, Role.DOUBTFUL_WHOLE})
_ABOUT_MESSAGES: frozenset[Role | None] = frozenset(
    {Role.ABOUT, Role.KINDS, Role.ALL, Role.DOUBTFUL}
)
_COMPLETES: frozenset[Role | None] = (
    _CHANGES_NOTHING | _ABOUT_MESSAGES | {Role.LITTLE, Role.CONFIRM}
)


@dataclass(frozen=True, slots=True)
class Judged:
    """
    A reading by one language.

    ``unexplained`` words are in none of its lists. ``pieces``: how many phrases and words it was
    put together from; a phrase found whole is more to the point than its words one by one.
    """

    reading: Reading
    unexplained: int
    pieces: int


def judge(found: Sequence[Segment], *, question: bool) -> Judged:
    """Judge what one language's lists found in a reply that has at least one word."""
    found = _whole_only(found)
    unexplained = _count(segment for segment in found if segment.role is None)
    return Judged(_Judgement(found, question=question).reading(), unexplained, len(found))


class _Judgement:
    def __init__(self, found: Sequence[Segment], *, question: bool) -> None:
        self._found = found
        self._question = question
        self._roles = {segment.role for segment in found if segment.role is not None}
        self._stops = [segment for segment in found if segment.role in STOPS]
        # Beside a keyword, what is known to be about something else is one more foreign word.
        self._foreign = [
            segment
            for segment in found
            if segment.role not in STOPS | _COMPLETES and not segment.is_number
        ]

    def reading(self) -> Reading:
        if self._stops:
            return self._with_stop()
        for role, why in (
            (Role.QUOTES, Why.OWN_TEXT),
            (Role.DOUBTFUL, Why.DOUBTFUL),
            (Role.DOUBTFUL_WHOLE, Why.DOUBTFUL),
        ):
            first = self._first(role)
            if first is not None:
                return self._read(Meaning.UNCERTAIN, why, first)
        for role, meaning in ((Role.START, Meaning.START), (Role.HELP, Meaning.HELP)):
            first = self._first(role)
            if first is not None:
                return self._asking(role, meaning, first)
        first = self._first(Role.ELSEWHERE)
        if first is not None:
            return self._read(Meaning.NONE, Why.ELSEWHERE, first)
        return Reading(Meaning.NONE, Why.NO_KEYWORD)

    def _asking(self, role: Role, meaning: Meaning, first: Segment) -> Reading:
        """Judge START or HELP: they count alone only, and a START that is asked grants nothing."""
        if {Role.START, Role.HELP} <= self._roles:
            return self._read(Meaning.NONE, Why.CONTRADICTS, first)
        if self._question and meaning is Meaning.START:
            return self._read(Meaning.NONE, Why.QUESTION, first)
        beside = self._roles - {role}
        if self._foreign_but(role) or first.slip:
            return self._read(Meaning.NONE, Why.OTHER_WORDS, first)
        # "start it" may be about anything, "help me" is not.
        if role is Role.HELP or Role.LITTLE not in beside or beside & _ABOUT_MESSAGES:
            return self._read(meaning, Why.WHOLE, first)
        return self._read(Meaning.NONE, Why.NOT_ABOUT_MESSAGES, first)

    def _foreign_but(self, role: Role) -> bool:
        return any(segment.role is not role for segment in self._foreign)

    def _with_stop(self) -> Reading:
        for role in (Role.STOP_SENTENCES, Role.STOP_WORDS, Role.STOP_WHOLE):
            first = self._first(role)
            if first is not None:
                break
        else:
            return self._common(self._stops[0])
        if not first.settled:
            return self._read(Meaning.UNCERTAIN, Why.COUNTRY_UNKNOWN, first)
        objection = self._objection(first)
        if objection is not None:
            return self._read(Meaning.UNCERTAIN, objection, first)
        if not self._foreign:
            return self._read(Meaning.STOP, Why.WHOLE, first)
        if first.slip and not self._is_sure(first):
            return self._read(Meaning.NONE, Why.OTHER_WORDS, first)
        if _count(self._foreign) <= FEW_WORDS:
            if first.role is Role.STOP_SENTENCES:
                return self._read(Meaning.STOP, Why.SENTENCE, first)
            if self._stands_alone():
                return self._read(Meaning.STOP, Why.OWN_SENTENCE, first)
        return self._read(Meaning.UNCERTAIN, Why.OTHER_WORDS, first, names=True)

    def _common(self, first: Segment) -> Reading:
        """Judge END, CANCEL and their like, which people use for much else."""
        about = not self._roles.isdisjoint(_ABOUT_MESSAGES)
        matter = Role.MATTERS in self._roles
        if Role.NEGATIONS in self._roles and not about:
            return self._read(Meaning.NONE, Why.NEGATED, first)
        if matter and not about:
            return self._read(Meaning.NONE, Why.MATTER, first)
        objection = self._objection(first)
        others = [
            segment
            for segment in self._foreign
            if segment.role not in {Role.HEDGES, Role.NEGATIONS}
        ]
        if not others or about:
            if objection is not None:
                return self._read(Meaning.UNCERTAIN, objection, first)
            if self._question:
                return self._read(Meaning.UNCERTAIN, Why.QUESTION, first)
        if not self._foreign:
            little = any(
                segment.role is Role.LITTLE or segment.is_number for segment in self._found
            )
            if little and not about:
                return self._read(Meaning.UNCERTAIN, Why.NOT_ABOUT_MESSAGES, first)
            return self._read(Meaning.STOP, Why.WHOLE, first)
        if first.slip and not self._is_sure(first):
            return self._read(Meaning.NONE, Why.OTHER_WORDS, first)
        if about or (objection is None and self._leads(first)):
            return self._read(Meaning.UNCERTAIN, Why.OTHER_WORDS, first, names=True)
        return self._read(Meaning.NONE, Why.NOT_ABOUT_MESSAGES, first)

    def _objection(self, stop: Segment) -> Why | None:
        """Find what speaks against reading a keyword as it stands."""
        if Role.START in self._roles:
            return Why.CONTRADICTS
        if Role.HELP in self._roles and stop.role is not Role.STOP_SENTENCES:
            # "STOP HELP". A whole sentence asks even if somebody thanks for the info.
            return Why.CONTRADICTS
        if Role.NEGATIONS in self._roles:
            return Why.NEGATED
        if Role.HEDGES in self._roles:
            return Why.HEDGED
        return None

    def _stands_alone(self) -> bool:
        """Tell whether the first or the last sentence is a keyword and politeness only."""
        for number in (self._found[0].sentence, self._found[-1].sentence):
            roles = {segment.role for segment in self._found if segment.sentence == number}
            if Role.STOP_WORDS in roles and roles <= STOPS | _CHANGES_NOTHING:
                return True
        return False

    def _leads(self, stop: Segment) -> bool:
        """Tell whether a common word comes first and nothing but what may be a name follows."""
        beside = [segment for segment in self._found if segment.role not in _CHANGES_NOTHING]
        unknown = [segment for segment in beside if segment.role is None and not segment.is_number]
        return (
            not self._question
            and beside[0] is stop
            and len(beside) == len(unknown) + 1
            and _count(unknown) <= LEADING_WORDS
        )

    def _is_sure(self, stop: Segment) -> bool:
        return stop.role is Role.STOP_SENTENCES or len(stop.words[0]) >= SURE_LETTERS

    def _first(self, role: Role) -> Segment | None:
        return next((segment for segment in self._found if segment.role is role), None)

    def _read(
        self, meaning: Meaning, why: Why, decided: Segment, *, names: bool = False
    ) -> Reading:
        entry = decided.entry
        return Reading(
            meaning,
            why,
            keyword=entry.phrase if entry else None,
            language=entry.language if entry else None,
            slip=decided.slip,
            all=meaning is Meaning.STOP and Role.ALL in self._roles,
            names=self._names() if names or meaning is Meaning.STOP else None,
        )

    def _names(self) -> str | None:
        """Give what may name a sender, a campaign or a kind of message."""
        kinds = [
            segment
            for segment in self._found
            if segment.role is Role.KINDS or segment.role is None or segment.is_number
        ]
        if any(segment.role not in {None, Role.KINDS} for segment in self._foreign):
            return None
        if not kinds or _count(kinds) > NAME_WORDS:
            return None
        return joined([word for segment in kinds for word in segment.words])


def _whole_only(found: Sequence[Segment]) -> list[Segment]:
    """Take entries that count only when they are all there is for unknown words elsewhere."""
    roles = {segment.role for segment in found}
    demoted = set()
    if not roles <= STOPS | {Role.DOUBTFUL_WHOLE, Role.COURTESY}:
        demoted.add(Role.STOP_WHOLE)
    if not roles <= STOPS | _COMPLETES:
        demoted.add(Role.DOUBTFUL_WHOLE)
    return [
        Segment(segment.words, segment.sentence) if segment.role in demoted else segment
        for segment in found
    ]


def _count(found: Iterable[Segment]) -> int:
    """Count words. Two characters of a writing without spaces pass for one."""
    words = [word for segment in found for word in segment.words]
    single = sum(is_word_by_itself(word[0]) for word in words)
    return len(words) - single + (single + 1) // 2
