"""Following the broadcast topics under the barrier, into the tables that every decision reads."""

from __future__ import annotations

from collections.abc import Callable

from streams.codec.codec import Codecs
from streams.errors import RegistryUnavailable
from streams.gate.topics import GateTopics
from streams.state.broadcast import BroadcastTables
from streams.state.log_reader import At, LogReader
from streams.telemetry.catalogue import ErrorMet
from streams.telemetry.telemetry import Telemetry
from streams.topology import CAMPAIGNS, NAMES_CONSENTS, TEMPLATES, Topic


class Broadcast:
    """
    The tables and how far they were read.

    Folded once, whatever becomes of the batch: its offsets are stamped but never committed, and a
    batch that is tried again sees them as they are then, which is never less.
    """

    def __init__(
        self,
        reader: LogReader,
        codecs: Codecs,
        topics: GateTopics,
        telemetry: Telemetry,
        subject_id: Callable[[str], bytes],
    ) -> None:
        """``subject_id`` gives a number's keyed hash."""
        self._reader = reader
        self._topics = topics
        self._telemetry = telemetry
        self._tables = BroadcastTables(codecs, subject_id)
        self.names = self._tables.names
        self.campaigns = self._tables.campaigns
        self.templates = self._tables.templates
        self._own: dict[str, Topic] = {
            topics.names: NAMES_CONSENTS,
            topics.campaigns: CAMPAIGNS,
            topics.templates: TEMPLATES,
        }
        self.offsets: dict[str, int] = {}
        """Next offset to apply, by the topic's own name: the stamp of a decision."""

    def folded(self) -> dict[At, int]:
        """How far each topic was folded: a target below that is a truncated log."""
        return {at: self.offsets.get(self._own[at.topic].name, 0) for at in self._topics.broadcast}

    def fold(self, targets: dict[At, int]) -> None:
        """
        Fold all topics exactly up to their targets, which must be reached.

        Raises :class:`RegistryUnavailable` at a record that cannot be read before the registry can
        be asked; it and what follows it are taken again the next time.
        """
        for at in self._topics.broadcast:
            target = targets[at]
            own = self._own[at.topic]
            messages = self._reader.take_below(at, target)
            for place, message in enumerate(messages):
                try:
                    unread = self._tables.apply(own, message.key(), message.value())
                except RegistryUnavailable:
                    self._reader.put_back(at, messages[place:])
                    raise
                if unread is not None:
                    self._telemetry.emit(ErrorMet(unread))
            if target > self.offsets.get(own.name, -1):
                self.offsets = {**self.offsets, own.name: target}
