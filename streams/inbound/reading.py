"""
What a reply means.

The measure is a reasonable person's (United States, 47 CFR 64.1200(a)(10): whatever wording clearly
asks to stop counts, and no channel is exclusive). So a reply is a STOP when there is nothing in it
but a keyword and words that change nothing, or a sentence that can hardly be read otherwise. A
keyword among other words is in doubt unless its use is known to be another. In doubt for a STOP is
UNCERTAIN, which stops the campaign; in doubt for a START is NONE, which grants nothing.

Pure and total: no ``str`` makes it raise. The time is linear in what is looked at, which is bounded
(:data:`streams.inbound.folding.LOOKED_AT`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from streams.inbound.finding import has_words_of, segments
from streams.inbound.folding import LOOKED_AT, Folded, fold
from streams.inbound.judging import judge
from streams.inbound.lists import BASE, KeywordLists, Lexicon, Role, load_lists
from streams.inbound.meaning import Meaning, Reading, Why
from streams.resources import data_dir

_OPENING_QUOTES = '"“„«‘「『‟＂'

_SEVERITY = {
    Meaning.STOP: 0,
    Meaning.UNCERTAIN: 1,
    Meaning.HELP: 2,
    Meaning.START: 3,
    Meaning.NONE: 4,
}
"""Of two languages' readings that explain a reply as well, the one with the lower number."""


@cache
def packaged_lists() -> KeywordLists:
    """Load the lists that ship with the package, once. Raises :class:`ConfigError`."""
    return load_lists(data_dir("keywords"))


def classify(body: str, country: str | None, lists: KeywordLists | None = None) -> Reading:
    """
    Say what a reply means.

    ``country`` is that of the sender's number, ISO 3166-1 (``US``) or 3166-2 (``US-TX``), None if
    it is not known. ``lists`` are those of the setting ``keywords_dir``; None takes the ones that
    ship. Every language is tried; the one that explains most words speaks.
    """
    lists = lists or packaged_lists()
    folded = fold(body)
    if not folded.words:
        long = folded.cut
        return (
            Reading(Meaning.UNCERTAIN, Why.TOO_LONG) if long else Reading(Meaning.NONE, Why.EMPTY)
        )
    if _is_reaction(body, lists):
        return Reading(Meaning.NONE, Why.REACTION)
    where = _country(country)
    judged = [
        judge(segments(folded, lexicon, lists, where), question=folded.question)
        for lexicon in lists.lexicons
        if lexicon.language == BASE or has_words_of(lexicon, folded, lists)
    ]
    reading = min(
        judged, key=lambda one: (one.unexplained, one.pieces, _SEVERITY[one.reading.meaning])
    ).reading
    if folded.cut and reading.meaning is not Meaning.UNCERTAIN:
        # What was not read may turn what was.
        return replace(reading, meaning=Meaning.UNCERTAIN, why=Why.TOO_LONG, all=False, names=None)
    return reading


def confirms(body: str, country: str | None, lists: KeywordLists | None = None) -> bool:
    """
    Tell whether a reply is a plain yes and nothing else: what a double opt-in waits for.

    Stricter than :func:`classify`: no slips, no question, no other words than politeness.
    """
    lists = lists or packaged_lists()
    folded = fold(body)
    if not folded.words or folded.cut or folded.question:
        return False
    where = _country(country)
    return any(
        _is_yes(folded, lexicon, lists, where)
        for lexicon in lists.lexicons
        if lexicon.language == BASE or not lexicon.own_words.isdisjoint(folded.words)
    )


def _is_yes(folded: Folded, lexicon: Lexicon, lists: KeywordLists, country: str | None) -> bool:
    found = segments(folded, lexicon, lists, country)
    roles = {segment.role for segment in found}
    return (
        Role.CONFIRM in roles
        and roles <= {Role.CONFIRM, Role.COURTESY}
        and not any(segment.slip or not segment.settled for segment in found)
    )


def _country(country: str | None) -> str | None:
    code = (country or "").partition("-")[0].strip().upper()
    return code if len(code) == 2 else None


def _is_reaction(body: str, lists: KeywordLists) -> bool:
    """Tell ``Liked “Reply STOP to end”``: the keyword is ours, quoted by a telephone."""
    seen = body[:LOOKED_AT]
    quotes = [place for mark in _OPENING_QUOTES if (place := seen.find(mark)) > 0]
    return bool(quotes) and fold(seen[: min(quotes)]).words in lists.reactions
