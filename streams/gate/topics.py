"""The topics of the gate by their names on this cluster, so that no other file spells one."""

from __future__ import annotations

from dataclasses import dataclass

from streams.state.log_reader import At
from streams.topology import (
    CAMPAIGNS,
    CONSENT_EVENTS,
    CONSENT_LEDGER,
    CONTACTS_ENTRIES,
    CONTACTS_SCREENED,
    DEAD_LETTERS,
    NAMES_CONSENTS,
    NUMBERS_UNCHECKED,
    POLICIES,
    SMS_ALLOWED,
    SMS_DECISIONS,
    SMS_QUARANTINED,
    SMS_REQUESTED,
    SMS_SENDS,
    SUBJECTS_KEYS,
    SUBJECTS_STATE,
    TEMPLATES,
    TopicNames,
)


@dataclass(frozen=True, slots=True)
class GateTopics:
    """Names on the cluster."""

    requests: str
    consent: str
    contacts: str
    names: str
    campaigns: str
    templates: str
    policies: str
    changelog: str
    keys: str
    sends: str
    allowed: str
    quarantined: str
    decisions: str
    unchecked: str
    ledger: str
    screened: str
    dead_letters: str

    @classmethod
    def of(cls, names: TopicNames) -> GateTopics:
        """Look every name up in the map of topics."""
        return cls(
            requests=names.of(SMS_REQUESTED),
            consent=names.of(CONSENT_EVENTS),
            contacts=names.of(CONTACTS_ENTRIES),
            names=names.of(NAMES_CONSENTS),
            campaigns=names.of(CAMPAIGNS),
            templates=names.of(TEMPLATES),
            policies=names.of(POLICIES),
            changelog=names.of(SUBJECTS_STATE),
            keys=names.of(SUBJECTS_KEYS),
            sends=names.of(SMS_SENDS),
            allowed=names.of(SMS_ALLOWED),
            quarantined=names.of(SMS_QUARANTINED),
            decisions=names.of(SMS_DECISIONS),
            unchecked=names.of(NUMBERS_UNCHECKED),
            ledger=names.of(CONSENT_LEDGER),
            screened=names.of(CONTACTS_SCREENED),
            dead_letters=names.of(DEAD_LETTERS),
        )

    def state_of(self, partition: int) -> list[At]:
        """The partitions of the state topics that go with this partition of requests."""
        return [At(self.consent, partition), At(self.contacts, partition)]

    @property
    def broadcast(self) -> list[At]:
        """The partitions that every gate reads whole."""
        return [At(self.names, 0), At(self.campaigns, 0), At(self.templates, 0)]
