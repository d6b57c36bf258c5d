"""
The agent ``pauses``: adds up what was counted, and pauses what is over its limit.

A pause is a PAUSED record in ``campaigns`` under a key of its own (ADR 0007); the gate then holds a
campaign's messages, or what an uploader initiates, under its next barrier. The worker never
resumes: a person does (``consent-gate campaigns resume``), and what was counted until then is not
held against the campaign again. While one of its own pauses stands the worker adds no other.
An hour that no answer can change any more pauses nothing: a worker that is new to an installation
reads years of decisions.

Exact and idempotent: a partition's count replaces that partition's earlier one, and a pause's id is
made of the hour and of how many the hour has had.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

from streams.codec.codec import Codecs
from streams.counting.answers import HOUR_MS
from streams.counting.limits import Counts, Limits, in_words
from streams.processors.agent import Agent, Effects, Event, Output, Timer, Tools, each
from streams.processors.state import AgentState
from streams.records.counted import HourCounted
from streams.records.events import Campaign, CampaignState
from streams.topology import CAMPAIGNS, HOURS_COUNTED

BY_WORKER: Final = "worker"
FORGET_SECONDS: Final = 3_600.0

_HOUR: Final = "hour/"
_STANDING: Final = "standing/"


def pauses(tools: Tools) -> Agent:
    """Make the agent."""
    pausing = _Pausing(tools)
    return Agent(
        "pauses",
        {HOURS_COUNTED: tools.codecs.counted.decode, CAMPAIGNS: pausing.decode},
        each(pausing.handle),
        timers=[Timer(FORGET_SECONDS, pausing.forget)],
    )


class _Pausing:
    def __init__(self, tools: Tools) -> None:
        settings = tools.settings
        self._codecs: Final[Codecs] = tools.codecs
        self._limits = Limits(
            withdrawals_per_1000=settings.campaign_withdrawals_per_1000,
            least_withdrawals=settings.campaign_least_withdrawals,
            complaints_per_1000=settings.campaign_complaints_per_1000,
            least_complaints=settings.campaign_least_complaints,
            contacts=settings.uploader_contacts_per_hour,
            new_numbers=settings.uploader_new_numbers_per_hour,
        )
        self._kept_ms = (2 * settings.answer_hours + 1) * HOUR_MS

    def decode(self, value: bytes | None) -> Campaign | None:
        """Read a campaign; a tombstone says nothing."""
        return None if value is None else self._codecs.campaigns.decode(value)

    def handle(self, event: Event[Any], state: AgentState) -> Effects:
        """Take a count or the end of a pause over."""
        match event.record:
            case HourCounted() as counted:
                return self._counted(counted, event, state)
            case Campaign(resumes=str()) as campaign:
                _resumed(campaign, state)
        return Effects()

    def forget(self, now_ms: int, state: AgentState) -> Effects:
        """Forget hours that no answer can change any more."""
        for key, _ in list(state.items(_HOUR)):
            if int(key.split("/")[2]) < now_ms - self._kept_ms:
                state.delete(key)
        return Effects()

    def _counted(self, counted: HourCounted, event: Event[Any], state: AgentState) -> Effects:
        if counted.hour < event.appended_at - self._kept_ms:
            return Effects()
        digest = _digest(counted.about)
        key = f"{_HOUR}{digest}/{counted.hour}"
        hour = _Hour.read(state.get(key))
        hour.parts[str(counted.partition)] = Counts(
            counted.sends,
            counted.withdrawals,
            counted.complaints,
            counted.contacts,
            counted.new_numbers,
        )
        outputs = []
        standing = json.loads(state.get(_STANDING + digest) or b"[]")
        since = hour.total().since(hour.forgiven)
        reason = None if standing else self._limits.passed(since)
        if reason is not None:
            pause_id = f"worker-{_in_words(counted.hour)}-{hour.pauses}"
            hour.pauses += 1
            state.put(_STANDING + digest, json.dumps([pause_id]).encode())
            pause = Campaign(
                campaign_id=counted.about,
                state=CampaignState.PAUSED,
                pause_id=pause_id,
                resumes=None,
                by=BY_WORKER,
                reason=in_words(reason, since),
                since=event.appended_at,
            )
            outputs.append(
                Output(
                    CAMPAIGNS,
                    0,
                    f"{counted.about}#{pause_id}".encode(),
                    self._codecs.campaigns.encode(pause),
                )
            )
        state.put(key, hour.written())
        return Effects(outputs)


def _resumed(campaign: Campaign, state: AgentState) -> None:
    """Note that a pause ended: nothing that was counted by now is held against it any more."""
    digest = _digest(campaign.campaign_id)
    standing = json.loads(state.get(_STANDING + digest) or b"[]")
    if campaign.resumes not in standing:
        return
    state.delete(_STANDING + digest)
    for key, value in list(state.items(f"{_HOUR}{digest}/")):
        hour = _Hour.read(value)
        hour.forgiven = hour.total()
        state.put(key, hour.written())


class _Hour:
    """One hour of a campaign or an uploader: what each partition has, and what was forgiven."""

    def __init__(self, parts: dict[str, Counts], forgiven: Counts, pauses: int) -> None:
        self.parts = parts
        self.forgiven = forgiven
        self.pauses = pauses

    @classmethod
    def read(cls, value: bytes | None) -> _Hour:
        if value is None:
            return cls({}, Counts(), 0)
        parts, forgiven, pauses = json.loads(value)
        return cls({at: Counts(*each) for at, each in parts.items()}, Counts(*forgiven), pauses)

    def written(self) -> bytes:
        return json.dumps([self.parts, self.forgiven, self.pauses]).encode()

    def total(self) -> Counts:
        total = Counts()
        for part in self.parts.values():
            total = total.plus(part)
        return total


def _digest(about: str) -> str:
    return blake2b(about.encode(), digest_size=16).hexdigest()


def _in_words(hour: int) -> str:
    return datetime.fromtimestamp(hour / 1000, UTC).strftime("%Y%m%dT%HZ")
