"""
What a text shows of itself, by a policy's registers: who sends it, how to stop it, what it is for.

Words are compared without regard to case. A word in letters that are written with spaces counts
only by itself: ``sale`` is not found in ``wholesale``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from streams.policy.vocabulary import Jurisdiction, Marks, OptOut, Sender

_WITHOUT_SPACES: Final = "\u0e00"
"""From here on, most scripts put no spaces between words: Thai, Hangul, ideographs."""

_SIGNATURE: Final = re.compile(r"\s*[\u3010\[]([^\u3011\]]{1,40})[\u3011\]]")
"""A text's signature in brackets at its very beginning, as Chinese carriers put it."""

_SIGNS: Final = frozenset("\u3010[ \t\n\r\u3000\u00a0")


def _spaced(character: str) -> bool:
    """Whether it is a letter or digit of a script that is written with spaces."""
    return character < _WITHOUT_SPACES and character.isalnum()


class Words:
    """Words and phrases, any of which may stand in a text."""

    def __init__(self, words: Iterable[str]) -> None:
        """Look for these, none of them blank."""
        self._words = [
            (folded, _spaced(folded[0]), _spaced(folded[-1]))
            for folded in dict.fromkeys(" ".join(word.casefold().split()) for word in words)
        ]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._words)

    def stand_in(self, folded: str) -> bool:
        """Whether one of them stands in a text, which was casefolded."""
        for word, alone_before, alone_behind in self._words:
            if word not in folded:
                continue
            at = folded.find(word)
            while at >= 0:
                end = at + len(word)
                if not (alone_before and at and _spaced(folded[at - 1])) and not (
                    alone_behind and end < len(folded) and _spaced(folded[end])
                ):
                    return True
                at = folded.find(word, end)
        return False


@dataclass(frozen=True, slots=True)
class RegisteredSender:
    """
    A sender as the policy knows it.

    ``jurisdictions`` are where it is registered; null: everywhere. ``shows`` are the names and
    signatures by which a text shows that it comes from there; null: it need not show any.
    ``signatures`` are those of ``shows`` without brackets, casefolded.
    """

    jurisdictions: frozenset[Jurisdiction] | None
    shows: Words | None
    signatures: frozenset[str]


Senders = Mapping[str, RegisteredSender]
"""By the ``sender_id`` of requests."""


def sender(body: str, folded: str, sender_id: str, law: Jurisdiction, senders: Senders) -> Sender:
    """
    DISGUISED where the text does not show who sends it, or is signed by somebody else.

    ePrivacy 13(4): no disguised sender. Advertising Law 43 (CN): the sender's true identity.
    """
    known = senders.get(sender_id)
    if known is None or (known.jurisdictions is not None and law not in known.jurisdictions):
        return Sender.UNKNOWN
    if known.shows is None:
        return _SENDER_KNOWN
    if not known.shows.stand_in(folded):
        return Sender.DISGUISED
    signed = _SIGNATURE.match(body) if body[:1] in _SIGNS else None
    if signed is not None and signed[1].strip().casefold() not in known.signatures:
        return Sender.DISGUISED
    return _SENDER_KNOWN


@dataclass(frozen=True, slots=True)
class OptOutTexts:
    """By which phrases a text says how to stop it, by law; messages of ``purposes`` must."""

    purposes: frozenset[str]
    anywhere: Words
    by_law: Mapping[Jurisdiction, Words]


def opt_out(folded: str, purpose: str, law: Jurisdiction, texts: OptOutTexts) -> OptOut:
    """
    MISSING where a text that must say how to stop it does not; UNREAD for other purposes.

    Advertising Law 43 (CN), ePrivacy 13(2), CASL 6(2)(c): each message says how to refuse more.
    """
    if purpose not in texts.purposes:
        return _OPT_OUT_UNREAD
    here = texts.by_law.get(law)
    if (here is not None and here.stand_in(folded)) or texts.anywhere.stand_in(folded):
        return _OPT_OUT_PRESENT
    return OptOut.MISSING


@dataclass(frozen=True, slots=True)
class MarkWords:
    """Words that only invitations and advertising have; looked for under ``purposes``."""

    purposes: frozenset[str]
    invitation: Words
    advertising: Words


def marks_of_text(folded: str, purpose: str, words: MarkWords) -> Marks:
    """consent-gate's own rule: an invitation or advertisement under another purpose."""
    if purpose not in words.purposes:
        return _MARKS_NONE
    if words.invitation.stand_in(folded):
        return Marks.INVITATION
    return Marks.ADVERTISING if words.advertising.stand_in(folded) else _MARKS_NONE


_SENDER_KNOWN: Final = Sender.KNOWN
_OPT_OUT_UNREAD: Final = OptOut.UNREAD
_OPT_OUT_PRESENT: Final = OptOut.PRESENT
_MARKS_NONE: Final = Marks.NONE
