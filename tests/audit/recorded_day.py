"""A day that a real gate recorded: requests of every kind, and much that happens between them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from streams.cli.subjects import resolution
from streams.records.events import (
    Basis,
    CampaignState,
    ConsentKind,
    ContactKind,
    Scope,
    Source,
)
from streams.records.requests import Initiator, NamedPerson, Occasion
from streams.testing.records import (
    a_campaign,
    a_consent_event,
    a_contact_entry,
    a_name_consent,
    a_number,
    a_withdrawal,
    an_sms_requested,
)
from streams.topology import CAMPAIGNS, NAMES_CONSENTS
from tests.gate.bed import PLAIN_POLICY, Bed, now_ms, wait_for

PEOPLE = 24

NO_SALES = """\
  - id: no-spring
    text: Nothing of the shop is advertised any more.
    when: purpose == Purpose.MARKETING && campaign == Campaign.ACTIVE
    then: drop
    reason: NO_CONSENT
    cites: [A decision of the management]
"""


@dataclass
class RecordedDay:
    """The installation, and how many requests were decided in it."""

    bed: Bed
    requests: int = 0

    def person(self, index: int) -> str:
        """Give one of the people, each of whom goes through something else."""
        return a_number(index % PEOPLE)

    def config(self) -> str:
        """Give the settings' file of the installation."""
        settings = self.bed.settings
        return (
            f"bootstrap_servers: {settings.bootstrap_servers}\n"
            f"topic_prefix: {settings.topic_prefix}\n"
            f"partitions: {settings.partitions}\n"
            f"secrets_dir: {settings.secrets_dir}\n"
            f"policy_dir: {settings.policy_dir}\n"
            f"state_dir: {settings.state_dir}\n"
        )

    def ask_everybody(self, round_name: str) -> None:
        """Ask for one message of each kind to everybody, all at once."""
        for index in range(PEOPLE):
            for kind, changes in kinds(self.person(index)).items():
                self.ask(f"{round_name}-{index}-{kind}", self.person(index), **changes)
        self.bed.flush()

    def ask(self, request_id: str, number: str, **changes: Any) -> None:
        """Ask for one message."""
        request = an_sms_requested(request_id=request_id, recipient=number, valid_until=None)
        self.bed.request(replace(request, **changes))
        self.requests += 1

    def decided(self) -> None:
        """Wait until everything that was asked for is decided."""
        self.bed.flush()

        def all_are() -> bool:
            return sum(each.attempt == 0 for each in self.bed.decisions()) == self.requests

        wait_for(all_are, 60, "for the decisions")

    def decided_again(self) -> bool:
        """Say whether something that was held was decided again."""
        return any(each.attempt > 0 for each in self.bed.decisions())


def kinds(number: str) -> dict[str, dict[str, Any]]:
    """Say what differs from plain marketing in each kind of request."""
    other = a_number(50)
    return {
        "plain": {},
        "autumn": {"campaign_id": "autumn"},
        "late": {"valid_until": now_ms() - 1_000},
        "strange": {"purpose": "astrology"},
        "invite": {"purpose": "invite", "campaign_id": None, "initiator": Initiator(other, "tap")},
        "named": {
            "purpose": "invite",
            "campaign_id": None,
            "named_persons": (NamedPerson("Lin", a_number(45)),),
        },
        "code": {
            "purpose": "otp",
            "campaign_id": None,
            "occasion": Occasion("login", f"login-{number[-2:]}", now_ms()),
        },
        "reply": {
            "purpose": "service_reply",
            "campaign_id": None,
            "occasion": Occasion("inbound_sms", f"message-{number[-2:]}"),
        },
    }


def policy_folder(folder: Path) -> Path:
    """Copy the plain policy to where it can be changed."""
    shutil.copytree(PLAIN_POLICY, folder)
    return folder


def record_a_day(bed: Bed) -> RecordedDay:
    """Play three rounds of requests: a reload after the first, a restart after the second."""
    day = RecordedDay(bed)
    for index in range(PEOPLE):
        _begin(day, index)
    bed.flush()
    with bed.ready_gate() as running:
        day.ask_everybody("first")
        day.decided()
        for index in range(PEOPLE):
            _go_on(day, index)
        bed.flush()
        version = running.gate._policy.current.version
        rules = bed.settings.policy_dir / "content.yaml"
        rules.write_text(rules.read_text("utf-8") + NO_SALES, "utf-8")
        running.gate.reload()
        wait_for(lambda: running.gate._policy.current.version != version, what="for the reload")
        day.ask_everybody("second")
        day.ask("first-1-plain", day.person(1))  # a request that was decided before
        day.decided()
    shutil.rmtree(bed.settings.state_dir)
    for index in range(0, PEOPLE, 5):
        bed.consent(a_withdrawal(event_id=f"stop-{index}", subject=day.person(index)))
    _pause(bed, "autumn", resumes="p1")
    bed.flush()
    with bed.ready_gate():
        day.ask_everybody("third")
        day.decided()
        wait_for(day.decided_again, 60, "for what the campaign had held")
    return day


def _begin(day: RecordedDay, index: int) -> None:
    """What was before the first request: consents, memberships, address books, broken events."""
    bed, number = day.bed, day.person(index)
    at = now_ms() - 60_000
    yes = a_consent_event(event_id=f"yes-{index}", subject=number, occurred_at=at)
    match index % 8:
        case 0 | 1 | 2:
            bed.consent(yes)
        case 3:
            bed.consent(replace(yes, basis=Basis.IMPLIED, expires_at=now_ms() + 2_000))
        case 4:
            bed.consent(replace(yes, kind=ConsentKind.REGISTERED, purpose=None))
        case 5:  # a yes under another number's key: it is passed on to its own
            value = bed.codecs.consent_events.encode(yes)
            bed.write(bed.topics.consent, a_number(60 + index).encode(), value)
        case 6:  # in the wrong partition
            value = bed.codecs.consent_events.encode(yes)
            wrong = 1 - bed.partition(number)
            bed.write(bed.topics.consent, number.encode(), value, wrong)
        case _:
            bed.consent(replace(yes, conditional=True))
    if index % 3 == 0:
        entry = a_contact_entry(
            entry_id=f"upload-{index}/0",
            subject_id=bed.keyring.subject_ids.of(number),
            partition=bed.partition(number),
            upload_id=f"upload-{index}",
            mandatory=index % 2 == 0,
            uploaded_at=now_ms() - 1_000,
            expires_at=None,
        )
        value = bed.codecs.contact_entries.encode(entry)
        bed.write(bed.topics.contacts, entry.subject_id, value, entry.partition)
    if index == 0:
        named = a_name_consent(occurred_at=now_ms() - 1_000)
        value = bed.codecs.name_consents.encode(named)
        bed.write(bed.settings.names.of(NAMES_CONSENTS), named.subject.encode(), value, 0)


def _go_on(day: RecordedDay, index: int) -> None:
    """What happens between the first and the second round."""
    bed, number = day.bed, day.person(index)
    stop = a_withdrawal(event_id=f"no-{index}", subject=number, occurred_at=now_ms())
    match index % 12:
        case 0:
            bed.consent(stop)
        case 1:
            bed.consent(replace(stop, purpose="marketing", scope=Scope("SHOP", None)))
        case 2:  # cannot be read: holds its subject; of one a person resolves it at once
            place = bed.partition(number)
            bed.write(bed.topics.consent, number.encode(), b"not an event", place)
            if index == 2:
                headers = resolution(bed.keyring, number.encode(), b"all")
                bed.write(bed.topics.consent, number.encode(), None, place, headers)
        case 3:
            bed.consent(replace(stop, kind=ConsentKind.ERASURE_REQUESTED, source=Source.OPERATOR))
        case 4:
            bed.consent(replace(stop, kind=ConsentKind.NUMBER_REASSIGNED, source=Source.CARRIER))
        case 5:
            entry = a_contact_entry(
                kind=ContactKind.WITHDRAWN,
                subject_id=bed.keyring.subject_ids.of(number),
                partition=bed.partition(number),
                upload_id=f"upload-{index}",
                uploaded_at=now_ms(),
            )
            value = bed.codecs.contact_entries.encode(entry)
            bed.write(bed.topics.contacts, entry.subject_id, value, entry.partition)
        case 6:  # an entry that cannot be read: the worst is taken for it
            subject_id = bed.keyring.subject_ids.of(number)
            bed.write(bed.topics.contacts, subject_id, b"no entry", bed.partition(number))
        case _:
            pass
    if index == 0:
        _pause(bed, "autumn")
        taken_back = bed.settings.names.of(NAMES_CONSENTS)
        bed.write(taken_back, a_number(45).encode(), None, 0)


def _pause(bed: Bed, campaign_id: str, resumes: str | None = None) -> None:
    record = a_campaign(
        campaign_id=campaign_id,
        state=CampaignState.ACTIVE if resumes else CampaignState.PAUSED,
        pause_id=None if resumes else "p1",
        resumes=resumes,
    )
    value = bed.codecs.campaigns.encode(record)
    bed.write(bed.settings.names.of(CAMPAIGNS), f"{campaign_id}#p1".encode(), value, 0)
