"""
What people mean when they reply.

A room of pure functions: ``classify`` and ``confirms`` look at a text and at lists of words, and
at nothing else. Only what begins with ``load_`` or ``packaged_`` reads files, once, before that.
"""

from streams.inbound.answers import Answers, load_answers
from streams.inbound.lists import KeywordLists, load_lists
from streams.inbound.meaning import Meaning, Reading, Why
from streams.inbound.reading import classify, confirms, packaged_lists
from streams.inbound.senders import Because, Coverage, Sender, Senders, load_senders

__all__ = [
    "Answers",
    "Because",
    "Coverage",
    "KeywordLists",
    "Meaning",
    "Reading",
    "Sender",
    "Senders",
    "Why",
    "classify",
    "confirms",
    "load_answers",
    "load_lists",
    "load_senders",
    "packaged_lists",
]
