"""
The broadcast tables as they stood when a decision was made.

The topics are compacted, so that what a key said at an earlier time may be gone. What can still be
told and what cannot is told exactly, key by key (:meth:`BroadcastHistory.names_known`): compaction
removes a record only once a later one of its key is there, and then every earlier one of it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from streams.audit.topic_log import TopicLog
from streams.codec.codec import Codecs
from streams.records.counted import uploader
from streams.records.requests import SmsRequested
from streams.state.arrivals import offset_of
from streams.state.broadcast import BroadcastTables
from streams.state.log_reader import Fetched
from streams.topology import BROADCAST, CAMPAIGNS, NAMES_CONSENTS, TEMPLATES, Topic

_FOLLOWED: Final = BROADCAST


@dataclass(slots=True)
class _Log:
    """What is kept of one topic, in order, and how far it was applied."""

    end: int
    records: list[Fetched]
    applied: int = 0
    """How many of the records."""
    next_offset: int = 0
    keys_applied: set[str] = field(default_factory=set)

    def whole(self) -> bool:
        """Whether nothing is missing below the offset that was applied up to."""
        return self.applied == self.next_offset


class BroadcastHistory:
    """All tables at an offset of each, moved forward by :meth:`to`. In memory, whole: small."""

    def __init__(
        self, logs: Mapping[Topic, _Log], codecs: Codecs, subject_id: Callable[[str], bytes]
    ) -> None:
        self._tables = BroadcastTables(codecs, subject_id)
        self.names = self._tables.names
        self.campaigns = self._tables.campaigns
        self.templates = self._tables.templates
        self._logs = logs
        self._subject_id = subject_id
        self._keys_about: dict[str, set[str]] = {}
        for message in logs[CAMPAIGNS].records:
            key = _key(message)
            self._keys_about.setdefault(key.partition("#")[0], set()).add(key)
        self._versions_of: dict[str, set[str]] = {}
        for message in logs[TEMPLATES].records:
            key = _key(message)
            self._versions_of.setdefault(key.rpartition("#")[0], set()).add(key)

    def to(self, offsets: Mapping[str, int]) -> tuple[str, ...]:
        """
        Apply what stands below these offsets, by topic.

        Returns the topics whose offset cannot be a decision's: it lies before that of an earlier
        one, or behind the topic's end.
        """
        impossible = []
        for topic in _FOLLOWED:
            log, target = self._logs[topic], offsets.get(topic.name, -1)
            if not log.next_offset <= target <= log.end:
                impossible.append(topic.name)
                continue
            while log.applied < len(log.records):
                message = log.records[log.applied]
                if offset_of(message) >= target:
                    break
                log.applied += 1
                log.keys_applied.add(_key(message))
                self._tables.apply(topic, message.key(), message.value())
            log.next_offset = target
        return tuple(impossible)

    def names_known(self, request: SmsRequested) -> bool:
        """
        Whether it is known of everybody named in a request whether they could be named.

        It is where no record is missing from the topic so far, and of whom a record is kept: had a
        later one been compacted away, this one would have been before it.
        """
        log = self._logs[NAMES_CONSENTS]
        numbers = [named.number for named in request.named_persons if named.number is not None]
        return log.whole() or all(number in log.keys_applied for number in numbers)

    def campaigns_known(self, request: SmsRequested) -> bool:
        """
        Whether it is known which pauses of its campaign and of its user stood.

        It is not where records are missing and a key was written again later: a pause under it may
        be gone. Nor where anything stands under the bare id, where a pause counts for the gates
        that read it before the next record took its place.
        """
        log = self._logs[CAMPAIGNS]
        if log.whole():
            return True
        about = [request.campaign_id] if request.campaign_id is not None else []
        if request.initiator.user is not None:
            about.append(uploader(self._subject_id(request.initiator.user)))
        keys = (key for each in about for key in self._keys_about.get(each, ()))
        return all("#" in key and key in log.keys_applied for key in keys)

    def templates_known(self, request: SmsRequested) -> bool:
        """
        Whether it is known which versions of its template were approved.

        It is not where records are missing, and no version of it, or one not yet, was applied: it
        may have been approved with another text, or been there and taken back.
        """
        log = self._logs[TEMPLATES]
        if request.template_id is None or log.whole():
            return True
        versions = self._versions_of.get(request.template_id, set())
        return bool(versions) and versions <= log.keys_applied

    @property
    def templates_whole(self) -> bool:
        """Whether nothing is missing so far: else a version may have been taken back since."""
        return self._logs[TEMPLATES].whole()


def read_broadcasts(
    log: TopicLog, codecs: Codecs, subject_id: Callable[[str], bytes]
) -> BroadcastHistory:
    """Read what is kept of these topics; nothing of it is applied yet."""
    logs = {}
    for topic in _FOLLOWED:
        extent = log.extent(topic, 0)
        records: Iterable[Fetched] = log.read(topic, 0, extent.start, extent.end)
        logs[topic] = _Log(extent.end, list(records))
    return BroadcastHistory(logs, codecs, subject_id)


def _key(message: Fetched) -> str:
    return (message.key() or b"").decode(errors="replace")
