"""Routes: where a record of state goes that is not folded where it stands, or cannot be read."""

from __future__ import annotations

from typing import NamedTuple

from streams.errors import DeadLetter, TooLarge
from streams.gate.dead_letters import dead_letter
from streams.gate.topics import GateTopics
from streams.gate.transaction import Output
from streams.gate.work import Work
from streams.kafka.bounds import RESENT_MAX_BYTES
from streams.kafka.record_headers import headers_of
from streams.kafka.record_size import size_of
from streams.sealing.keyring import KeyRing
from streams.sealing.signatures import Statement
from streams.state.arrivals import FIRST_APPENDED_HEADER, first_appended, signed_of
from streams.state.log_reader import Fetched
from streams.topology import CONSENT_EVENTS


class Stood(NamedTuple):
    """Where and when a record stood."""

    partition: int
    offset: int
    appended_at: int


class Routes:
    """For the loop's thread. Writes into the work."""

    def __init__(self, keyring: KeyRing, topics: GateTopics, group_id: str) -> None:
        self._keyring = keyring
        self._topics = topics
        self._group_id = group_id

    def first_appended(self, message: Fetched, appended_at: int) -> int:
        """The time of the signed header of a re-sent record, else the record's own."""
        stated = first_appended(message, self._keyring.verifier)
        return appended_at if stated is None else min(stated, appended_at)

    def resend(
        self, work: Work, message: Fetched, stood: Stood, topic: str, partition: int, key: bytes
    ) -> None:
        """
        Send the record on under its own key, with the time at which it was first appended.

        One that would not fit is dead-lettered here. Where it is a consent event an empty one is
        sent in its place: it cannot be read either, and holds the subject where that belongs.
        """
        name = self._topics.consent if topic == CONSENT_EVENTS.name else self._topics.contacts
        first = self.first_appended(message, stood.appended_at)
        value = message.value()
        headers = [h for h in headers_of(message) if h[0] != FIRST_APPENDED_HEADER]
        if size_of(key, value, headers) > RESENT_MAX_BYTES:
            unfit = TooLarge("The record is too large to be sent to where it belongs.")
            self.dead_letter(work, message, unfit, topic)
            if topic != CONSENT_EVENTS.name:
                return
            value, headers = b"", []
        statement = self._keyring.signer.sign_header(
            Statement.FIRST_APPENDED, signed_of(key, value), first
        )
        headers.append((FIRST_APPENDED_HEADER, statement))
        work.resends.append(Output(name, partition, key, value, headers))
        work.tally.resent[topic] += 1

    def dead_letter(self, work: Work, message: Fetched, error: DeadLetter, topic: str) -> None:
        """Put a record aside that nobody can fold, as it is, with the cause."""
        work.outputs.append(
            dead_letter(
                message,
                error,
                topic=self._topics.dead_letters,
                stage="fold",
                group_id=self._group_id,
            )
        )
        work.tally.dead_letters[topic, error.cause] += 1
