"""
The agent ``receipts``: one receipt for each upload, once every entry of it was screened.

It reads how many entries there are (``uploads.split``, by the agent ``uploads``) and what the gates
say of them (``contacts.screened``); both lie in the partition of the upload's id, and so does the
receipt. What has come due is decided by :mod:`streams.contacts.receipts`, whatever comes first or
twice. A receipt may be written twice, like every output; then both are the same, byte for byte.
"""

from __future__ import annotations

from typing import Final

from streams.contacts.receipts import MOST_POSITIONS, Counting, end_those_gone
from streams.errors import KeyMismatch, Undecodable
from streams.processors.agent import Agent, Effects, Event, Output, Timer, Tools, each
from streams.processors.state import AgentState
from streams.processors.uploads import kept_ms
from streams.records.contacts import ContactsScreened, UploadCompleted, UploadSplit
from streams.sealing.subject_ids import SUBJECT_ID_BYTES
from streams.topology import (
    CONTACTS_ENTRIES,
    CONTACTS_SCREENED,
    UPLOADS_COMPLETED,
    UPLOADS_SPLIT,
)

END_SECONDS: Final = 3_600.0
"""How often it is looked which uploads have left no trace."""


def receipts(tools: Tools) -> Agent:
    """Make the agent."""
    counting = _Counting(tools)
    codecs = tools.codecs
    return Agent(
        "receipts",
        {UPLOADS_SPLIT: codecs.splits.decode, CONTACTS_SCREENED: codecs.screened.decode},
        each(counting.handle),
        timers=[Timer(END_SECONDS, counting.end)],
    )


class _Counting:
    def __init__(self, tools: Tools) -> None:
        self._codecs = tools.codecs
        self._entries_kept_ms = kept_ms(tools.settings, CONTACTS_ENTRIES)

    def handle(self, event: Event[UploadSplit | ContactsScreened], state: AgentState) -> Effects:
        """Count one record; give the receipt that has come due with it."""
        told = event.record
        if event.key != told.upload_id.encode():
            raise KeyMismatch("The record's key is not its upload's id.")
        if len(told.uploader_id) != SUBJECT_ID_BYTES:
            raise Undecodable(f"The uploader's id does not have {SUBJECT_ID_BYTES} bytes.")
        counting = Counting.of(told.upload_id, told.uploader_id, state)
        match told:
            case UploadSplit():
                if not 0 <= told.contacts <= MOST_POSITIONS:
                    raise Undecodable("The upload has more contacts than one can have.")
                receipt = counting.split(told, event.appended_at)
            case ContactsScreened():
                gone_at = told.screened_at + self._entries_kept_ms
                receipt = counting.screened(told, event.appended_at, gone_at=gone_at)
        return self._effects([receipt] if receipt is not None else [], state)

    def end(self, now_ms: int, state: AgentState) -> Effects:
        """Forget the uploads that have left no trace; give receipts that were still to come."""
        return self._effects(list(end_those_gone(list(state.items()), state, now_ms)), state)

    def _effects(self, found: list[UploadCompleted], state: AgentState) -> Effects:
        encode = self._codecs.receipts.encode
        return Effects(
            [
                Output(UPLOADS_COMPLETED, state.partition, each.upload_id.encode(), encode(each))
                for each in found
            ]
        )
