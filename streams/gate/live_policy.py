"""
The policy that decides now, and how another takes its place.

Loaded at start and again on SIGHUP, never by watching the folder: a half-copied policy is a milder
one. A new version passes the same checks as ``consent-gate policy check``; one that does not is
refused, told, and the old one stays. Every version is archived in the topic ``policies`` before it
decides, so that the text under which a decision was made can always be found.
"""

from __future__ import annotations

import time
from pathlib import Path

from streams.codec.codec import RecordCodec
from streams.errors import KafkaUnavailable, PolicyInvalid
from streams.gate.resend import Resender
from streams.gate.transaction import Output
from streams.policy.policy import Policy, load_policy
from streams.records.decisions import PolicyArchived
from streams.telemetry.catalogue import ErrorMet, PolicyLoaded, PolicyRefused, PolicyUnchanged
from streams.telemetry.health import Health
from streams.telemetry.labels import Condition
from streams.telemetry.telemetry import Telemetry


class LivePolicy:
    """Holds the policy in force. Used by the loop's thread only."""

    def __init__(
        self,
        directory: Path,
        *,
        archive: Resender,
        topic: str,
        codec: RecordCodec[PolicyArchived],
        telemetry: Telemetry,
        health: Health,
    ) -> None:
        """Load the policy of ``directory``. Raises :class:`PolicyInvalid`."""
        self._directory = directory
        self._archive = archive
        self._topic = topic
        self._codec = codec
        self._telemetry = telemetry
        self._health = health
        self._current = load_policy(directory)

    @property
    def current(self) -> Policy:
        """The policy to decide by."""
        return self._current

    def start(self) -> None:
        """Archive the first version. Raises :class:`KafkaUnavailable`; then call again."""
        self._keep(self._current)

    def reload(self) -> None:
        """Read the directory again; on any mistake the current version stays."""
        try:
            policy = load_policy(self._directory)
        except PolicyInvalid as error:
            self._telemetry.emit(PolicyRefused(str(error)))
            return
        if policy.version == self._current.version:
            self._telemetry.emit(PolicyUnchanged(policy.version))
            return
        try:
            self._keep(policy)
        except KafkaUnavailable as error:
            self._telemetry.emit(PolicyRefused("The new version could not be archived."))
            self._telemetry.emit(ErrorMet(error))

    def _keep(self, policy: Policy) -> None:
        loaded_at = int(time.time() * 1000)
        record = PolicyArchived(policy.version, policy.files, loaded_at)
        value = self._codec.encode(record)
        self._archive.send([Output(self._topic, 0, policy.version.encode(), value)])
        self._current = policy
        self._telemetry.emit(PolicyLoaded(policy.version, policy.purposes, loaded_at))
        self._health.set(Condition.POLICY_LOADED, True)
