"""Consequences: what an outcome changes or asks for, beside the records that tell of it."""

from __future__ import annotations

from streams.codec.codec import Codecs
from streams.gate.topics import GateTopics
from streams.gate.transaction import Output
from streams.gate.work import Work
from streams.policy.asking import after_asking
from streams.policy.facts import Content
from streams.policy.once import after_sending
from streams.records.numbers import NumberUnchecked
from streams.records.subject import SubjectState
from streams.state.subjects import Subjects


class Consequences:
    """For the loop's thread. Writes into the overlay and into the work."""

    def __init__(self, subjects: Subjects, codecs: Codecs, topics: GateTopics) -> None:
        self._subjects = subjects
        self._codecs = codecs
        self._topics = topics

    def sent(
        self,
        partition: int,
        subject_id: bytes,
        state: SubjectState | None,
        content: Content,
        now_ms: int,
    ) -> None:
        """Remember at once what may be sent once: the next request of this batch sees it."""
        # Where nothing was known the number was computed to belong here.
        before = state or SubjectState(subject_id, placed=True)
        after = after_sending(before, content.answers, refers=content.refers)
        if content.asks is not None:
            after = after_asking(after, content.asks, now_ms)
        if after is not before:
            self._subjects.change(partition, after)

    def unchecked(
        self,
        work: Work,
        recipient: str,
        state: SubjectState | None,
        event_id: str | None,
        now_ms: int,
    ) -> None:
        """Ask the worker to look up whose the number is, since the consent that is in force."""
        since = (
            [grant.counts_from for grant in state.grants if grant.event_id == event_id]
            if state
            else []
        )
        if since:
            unchecked = NumberUnchecked(recipient, min(since), now_ms)
            value = self._codecs.unchecked.encode(unchecked)
            topic, key = self._topics.unchecked, recipient.encode()
            work.outputs.append(Output(topic, work.partition, key, value, None))
