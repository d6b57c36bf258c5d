"""Following the broadcast topics under the barrier, into the tables that every decision reads."""

from __future__ import annotations

from collections.abc import Callable

from streams.codec.codec import Codecs
from streams.errors import RegistryUnavailable, Undecodable
from streams.gate.topics import GateTopics
from streams.state.broadcast import CampaignTable, NameConsentTable, TemplateTable
from streams.state.log_reader import At, Fetched, LogReader
from streams.telemetry.catalogue import ErrorMet
from streams.telemetry.telemetry import Telemetry
from streams.topology import CAMPAIGNS, NAMES_CONSENTS, TEMPLATES


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
        self._codecs = codecs
        self._topics = topics
        self._telemetry = telemetry
        self.names = NameConsentTable()
        self.campaigns = CampaignTable(subject_id)
        self.templates = TemplateTable()
        self._tables: dict[str, tuple[str, Callable[[str, Fetched], None]]] = {
            topics.names: (NAMES_CONSENTS.name, self._name),
            topics.campaigns: (CAMPAIGNS.name, self._campaign),
            topics.templates: (TEMPLATES.name, self._template),
        }
        self.offsets: dict[str, int] = {}
        """Next offset to apply, by the topic's own name: the stamp of a decision."""

    def folded(self) -> dict[At, int]:
        """How far each topic was folded: a target below that is a truncated log."""
        return {at: self.offsets.get(self._tables[at.topic][0], 0) for at in self._topics.broadcast}

    def fold(self, targets: dict[At, int]) -> None:
        """
        Fold all topics exactly up to their targets, which must be reached.

        Raises :class:`RegistryUnavailable` at a record that cannot be read before the registry can
        be asked; it and what follows it are taken again the next time.
        """
        for at in self._topics.broadcast:
            target = targets[at]
            own_name, apply = self._tables[at.topic]
            messages = self._reader.take_below(at, target)
            for place, message in enumerate(messages):
                try:
                    apply((message.key() or b"").decode(errors="replace"), message)
                except RegistryUnavailable:
                    self._reader.put_back(at, messages[place:])
                    raise
            if target > self.offsets.get(own_name, -1):
                self.offsets = {**self.offsets, own_name: target}

    def _name(self, key: str, message: Fetched) -> None:
        value = message.value()
        try:
            record = None if value is None else self._codecs.name_consents.decode(value)
        except Undecodable as error:
            # What cannot be read allows nobody to be named.
            self._telemetry.emit(ErrorMet(error))
            record = None
        self.names.apply(key, record)

    def _campaign(self, key: str, message: Fetched) -> None:
        value = message.value()
        if value is None:
            return
        try:
            record = self._codecs.campaigns.decode(value)
        except Undecodable as error:
            self._telemetry.emit(ErrorMet(error))
            self.campaigns.pause_unreadable(key)
            return
        self.campaigns.apply(record)

    def _template(self, key: str, message: Fetched) -> None:
        value = message.value()
        try:
            record = None if value is None else self._codecs.templates.decode(value)
        except Undecodable as error:
            # What cannot be read was not approved.
            self._telemetry.emit(ErrorMet(error))
            record = None
        self.templates.apply(key, record)
