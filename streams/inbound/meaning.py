"""What a reply was found to mean, and why, in a form that may be logged."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from enum import Enum

from streams.inbound.folding import fold, joined


class Meaning(Enum):
    """What follows from a reply."""

    STOP = "STOP"
    """The person withdraws."""
    START = "START"
    """The person asks for messages again."""
    HELP = "HELP"
    """The person asks what this is."""
    NONE = "NONE"
    """Nothing about messages: for people to read, if anyone."""
    UNCERTAIN = "UNCERTAIN"
    """It may be a withdrawal: stop this sender's campaign for the person, and let a person look."""


class Why(Enum):
    """What decided. The value is the text for people; no word of the reply is in it."""

    WHOLE = "the message is nothing but that, and words that change nothing"
    SENTENCE = "a sentence asks for it"
    OWN_SENTENCE = "it stands as a sentence of its own"

    OTHER_WORDS = "words beside it that are in no list"
    NOT_ABOUT_MESSAGES = "nothing says that messages are meant"
    NEGATED = "a negation stands beside it"
    HEDGED = "it depends on something, or asks how"
    QUESTION = "it is asked, not said"
    CONTRADICTS = "the message also says the contrary, or asks for help"
    OWN_TEXT = "it repeats what our own messages say"
    DOUBTFUL = "a wording that may be a withdrawal"
    COUNTRY_UNKNOWN = "it withdraws in some countries only, and the country is not known"
    TOO_LONG = "the message is longer than what is looked at"

    EMPTY = "there are no words"
    NO_KEYWORD = "no keyword"
    ELSEWHERE = "a wording that means something else"
    MATTER = "it is about an order, an appointment or the like"
    REACTION = "a telephone's reaction to one of our messages"


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What a reply means.

    ``keyword`` is the entry of the lists that decided, and ``language`` the list's (``en``): both
    come from the lists, never from the reply, and may be logged. ``slip``: the keyword was typed
    with a slip, or without spaces.

    ``all``: the person said that everything is meant. ``names``: what may name a sender, a campaign
    or a kind of message (``promo``), folded, from the reply itself: never log it. Whether it names
    one is the caller's to know: see :meth:`naming`.
    """

    meaning: Meaning
    why: Why
    keyword: str | None = None
    language: str | None = None
    slip: bool = False
    all: bool = False
    names: str | None = field(default=None, repr=False)

    @property
    def explanation(self) -> str:
        """The reason in words, without any word of the reply."""
        if self.keyword is None:
            return self.why.value
        slip = ", with a slip" if self.slip else ""
        return f"{self.keyword!r} ({self.language}{slip}): {self.why.value}"

    def naming(self, known: Collection[str]) -> Reading:
        """
        Judge again by the names of our senders and campaigns.

        ``STOP Acme`` is in doubt as long as nobody knows what Acme is. If ``names`` is one of
        ``known``, compared as replies are, the result is a STOP, and its ``names`` is that one, as
        it stands in ``known``. Any other reading comes back as it is.
        """
        if self.names is None:
            return self
        for name in known:
            if joined(fold(name).words) == self.names:
                return replace(self, meaning=Meaning.STOP, names=name)
        return self
