"""
What people mean when they reply.

A room of pure functions: ``classify`` and ``confirms`` look at a text and at lists of words, and
at nothing else. Only ``load_lists`` and ``packaged_lists`` read files, once, before that.
"""

from streams.inbound.lists import KeywordLists, load_lists
from streams.inbound.meaning import Meaning, Reading, Why
from streams.inbound.reading import classify, confirms, packaged_lists

__all__ = [
    "KeywordLists",
    "Meaning",
    "Reading",
    "Why",
    "classify",
    "confirms",
    "load_lists",
    "packaged_lists",
]
