"""
The agents that the worker runs: one line each, and nothing else here.

Each entry makes one agent from :class:`~streams.processors.agent.Tools`; see
:mod:`~streams.processors.runtime` for how to write one.
"""

from __future__ import annotations

from streams.processors.agent import MakeAgent
from streams.processors.counters import answers
from streams.processors.lookups import lookups
from streams.processors.pauses import pauses
from streams.processors.questions import questions
from streams.processors.receipts import receipts
from streams.processors.replies import replies
from streams.processors.uploads import uploads

AGENTS: tuple[MakeAgent, ...] = (uploads, receipts, replies, answers, pauses, lookups, questions)
