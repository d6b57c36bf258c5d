"""
The eve of the day: what people had said before, what platforms had done, which campaign is paused.

Some of it comes badly: a STOP in the wrong partition, an import that would undo a STOP, bytes that
nobody can read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import assert_never

from streams.demo.acts import Act, Setting
from streams.demo.people import People, Person, Standing
from streams.kafka.placement import partition_of
from streams.records.contacts import ContactsUploaded, UploadBasis, UploadedContact
from streams.records.events import (
    Basis,
    Campaign,
    CampaignState,
    ConsentEvent,
    ConsentEvidence,
    ConsentKind,
    NameConsent,
    Origin,
    Source,
)
from streams.topology import (
    CAMPAIGNS,
    CONSENT_EVENTS,
    CONTACTS_UPLOADED,
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    NAMES_CONSENTS,
)

AGO_MS = 30 * DAY_MS
"""When people agreed, long before the day."""

PAUSED_CAMPAIGN = "clearance"
CONTACTS_IN_AN_UPLOAD = 40


def eve_of(setting: Setting, people: People, rng: Random) -> list[Act]:
    """Give everything that lies in Kafka before the first request of the day, in order."""
    acts = [act for person in people.everybody() for act in _said(setting, person, rng)]
    acts += _uploads(setting, people)
    acts += _nameable(setting, people)
    acts.append(_pause(setting))
    # Without a key nobody knows whose it is.
    acts.append(Act(CONSENT_EVENTS, None, _noise(rng), partition=0))
    return acts


def stop(setting: Setting, person: Person, name: str, purpose: str | None) -> Act:
    """Let a person withdraw ``purpose``, or everything; labelled by its event id."""
    everything = purpose is None
    event = ConsentEvent(
        event_id=setting.named(name),
        subject=person.number,
        kind=ConsentKind.WITHDRAWN,
        occurred_at=setting.now_ms,
        source=Source.INBOUND_SMS if everything else Source.SELF_SERVICE,
        purpose=purpose,
    )
    return _act(setting, person, event)


def paused_campaign(setting: Setting) -> str:
    """Give the id of the campaign that is paused all day."""
    return setting.named(PAUSED_CAMPAIGN)


def _said(setting: Setting, person: Person, rng: Random) -> Iterator[Act]:
    """Give what was said by or of one person, in order."""
    agreed = _agreed(setting, person)
    stopped = stop(setting, person, f"stop-{person.index}", None)
    match person.standing:
        case Standing.CONSENTING | Standing.ABOUT_TO_DECLINE | Standing.ABOUT_TO_REPLY:
            yield agreed
        case Standing.ASLEEP:
            yield _act(setting, person, _agreed_in_america(setting, person, 3))
        case Standing.AWAKE:
            yield _act(setting, person, _agreed_in_america(setting, person, 12))
        case Standing.RETURNED:
            yield agreed
            yield stopped
            # Dated ahead of its append time, from which it then counts: after the STOP for sure.
            yield _act(
                setting,
                person,
                _granted(setting, person, "again", occurred_at=setting.now_ms + 2 * MINUTE_MS),
                after=stopped.label,
            )
        case Standing.INVITABLE:
            evidence = ConsentEvidence("2026-1", None, "web", f"form of {person.name}")
            yield _act(
                setting, person, _granted(setting, person, "yes", "invite", evidence=evidence)
            )
        case Standing.MEMBER | Standing.NAMEABLE:
            yield from _registered(setting, person)
        case Standing.STRANGER | Standing.UPLOADED | Standing.LISTED:
            return
        case Standing.STOPPED:
            yield agreed
            yield stopped
        case Standing.DECLINED:
            yield agreed
            yield stop(setting, person, f"decline-{person.index}", "marketing")
        case Standing.LAPSED:
            lapsed = _granted(setting, person, "yes", expires_at=setting.now_ms - DAY_MS)
            yield _act(setting, person, lapsed)
        case Standing.BUNDLED:
            yield _act(setting, person, _granted(setting, person, "yes", conditional=True))
        case Standing.IMPORTED:
            yield agreed
            yield stopped
            imported = _granted(setting, person, "import", source=Source.BULK_IMPORT)
            yield _act(setting, person, imported)
        case Standing.ERASED:
            yield agreed
            erasure = _event(setting, person, "erase", ConsentKind.ERASURE_REQUESTED)
            yield _act(setting, person, erasure)
        case Standing.REASSIGNED:
            yield agreed
            yield _act(
                setting,
                person,
                _event(
                    setting,
                    person,
                    "reassign",
                    ConsentKind.NUMBER_REASSIGNED,
                    source=Source.CARRIER,
                    effective_at=setting.now_ms - DAY_MS,
                ),
            )
        case Standing.MISFILED:
            yield agreed
            elsewhere = (partition_of(person.key, setting.partitions) + 1) % setting.partitions
            yield Act(
                stopped.topic,
                stopped.key,
                stopped.value,
                stopped.record,
                partition=elsewhere,
                label=stopped.label,
            )
        case Standing.UNREADABLE:
            yield agreed
            yield Act(CONSENT_EVENTS, person.key, rng.choice((_noise(rng), b"", None)))
        case _:
            assert_never(person.standing)


def _agreed(setting: Setting, person: Person) -> Act:
    return _act(setting, person, _granted(setting, person, "yes"))


def _agreed_in_america(setting: Setting, person: Person, hour: int) -> ConsentEvent:
    """Let somebody agree under American law, who is where it is this hour as the day begins."""
    agreed = _granted(setting, person, "yes")
    return replace(agreed, region="US", time_zone=zone_where_it_is(hour, setting.now_ms))


def zone_where_it_is(hour: int, now_ms: int) -> str:
    """Give a time zone in which this hour of the day has begun, whatever hour it is in UTC."""
    ahead = (hour - now_ms // HOUR_MS + 12) % 24 - 12
    return f"Etc/GMT{-ahead:+d}"


def _granted(
    setting: Setting,
    person: Person,
    name: str,
    purpose: str = "marketing",
    *,
    occurred_at: int | None = None,
    source: Source = Source.SELF_SERVICE,
    conditional: bool = False,
    expires_at: int | None = None,
    evidence: ConsentEvidence | None = None,
) -> ConsentEvent:
    return ConsentEvent(
        event_id=setting.named(f"{name}-{person.index}"),
        subject=person.number,
        kind=ConsentKind.GRANTED,
        occurred_at=setting.now_ms - AGO_MS if occurred_at is None else occurred_at,
        source=source,
        purpose=purpose,
        basis=Basis.EXPRESS,
        conditional=conditional,
        expires_at=expires_at,
        evidence=evidence,
    )


def _event(
    setting: Setting,
    person: Person,
    name: str,
    kind: ConsentKind,
    *,
    source: Source = Source.SELF_SERVICE,
    effective_at: int | None = None,
    origin: Origin | None = None,
) -> ConsentEvent:
    return ConsentEvent(
        event_id=setting.named(f"{name}-{person.index}"),
        subject=person.number,
        kind=kind,
        occurred_at=setting.now_ms - AGO_MS,
        source=source,
        effective_at=effective_at,
        origin=origin,
    )


def _registered(setting: Setting, person: Person) -> Iterator[Act]:
    yield _act(setting, person, _event(setting, person, "register", ConsentKind.REGISTERED))
    entered = _event(
        setting, person, "origin", ConsentKind.NUMBER_ORIGIN, origin=Origin.SELF_ENTERED
    )
    yield _act(setting, person, entered)


def _act(setting: Setting, person: Person, event: ConsentEvent, after: str | None = None) -> Act:
    return Act(
        CONSENT_EVENTS,
        person.key,
        setting.codecs.consent_events.encode(event),
        event,
        label=event.event_id,
        after=after,
    )


def _uploads(setting: Setting, people: People) -> Iterator[Act]:
    """
    Upload address books: as the platform of the case made its users do, then as it may be done.
    """
    forced = UploadBasis(optional=False)
    chosen = UploadBasis(True, ("find_friends", "contact_a_friend"), "2019-1")
    yield from _uploaded(setting, people, "forced", people.of(Standing.UPLOADED), forced)
    yield from _uploaded(setting, people, "chosen", people.of(Standing.LISTED), chosen)


def _uploaded(
    setting: Setting, people: People, name: str, listed: Sequence[Person], basis: UploadBasis
) -> Iterator[Act]:
    members = people.of(Standing.MEMBER)
    for number, start in enumerate(range(0, len(listed), CONTACTS_IN_AN_UPLOAD)):
        uploader = members[number % len(members)]
        some = listed[start : start + CONTACTS_IN_AN_UPLOAD]
        contacts = [
            UploadedContact(_WRITTEN[place % len(_WRITTEN)](each.number), each.name)
            for place, each in enumerate(some)
        ]
        # As address books are: one twice, the own number, and one that is no number.
        contacts += [
            UploadedContact(some[0].number, f"{some[0].name} (home)"),
            UploadedContact(uploader.number, uploader.name),
            UploadedContact("see card", "Dentist"),
        ]
        upload = ContactsUploaded(
            upload_id=setting.named(f"upload-{name}-{number}"),
            uploader=uploader.number,
            uploaded_at=setting.now_ms - HOUR_MS,
            app_version="7.1",
            basis=basis,
            default_region="CN",
            contacts=tuple(contacts),
        )
        yield Act(CONTACTS_UPLOADED, uploader.key, setting.codecs.uploads.encode(upload), upload)


def entries_of(act: Act) -> list[str]:
    """Give the ids of the entries that a worker makes of an act: none but of an upload."""
    upload = act.record
    if not isinstance(upload, ContactsUploaded):
        return []
    distinct = len(upload.contacts) - _NO_ENTRY
    return [f"{upload.upload_id}/{position}" for position in range(distinct)]


_NO_ENTRY = 3
"""Contacts at the end of each upload that make none."""

_WRITTEN: tuple[Callable[[str], str], ...] = (
    lambda number: number,
    lambda number: f"00{number[1:]}",
    lambda number: f"{number[:4]} ({number[4:7]}) {number[7:10]}-{number[10:]}",
)
"""How people write the same number."""


def _nameable(setting: Setting, people: People) -> Iterator[Act]:
    for person in people.of(Standing.NAMEABLE):
        consent = NameConsent(person.number, True, "invite", None, setting.now_ms - AGO_MS)
        value = setting.codecs.name_consents.encode(consent)
        yield Act(NAMES_CONSENTS, person.key, value, consent)


def _pause(setting: Setting) -> Act:
    """Pause a campaign, under a key of its own: no later record of the campaign can hide it."""
    campaign_id, pause_id = paused_campaign(setting), "pause-1"
    pause = Campaign(
        campaign_id=campaign_id,
        state=CampaignState.PAUSED,
        pause_id=pause_id,
        resumes=None,
        by="demo",
        reason="complaints",
        since=setting.now_ms - DAY_MS,
    )
    key = f"{campaign_id}#{pause_id}".encode()
    return Act(CAMPAIGNS, key, setting.codecs.campaigns.encode(pause), pause)


def _noise(rng: Random) -> bytes:
    """Give bytes that no schema reads: they begin with neither framing's marker."""
    return b"\x7f" + rng.randbytes(rng.randint(8, 200))
