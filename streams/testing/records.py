"""
Valid records for tests and demonstrations: say only what the test is about.

Every builder gives one sound, ordinary record; ``changes`` replace fields by name. The numbers are
from +1 202 555 0100 to 0199, which are set aside for fiction: no text can reach a person.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from streams.records.contacts import (
    ContactsScreened,
    ContactsUploaded,
    UploadBasis,
    UploadCompleted,
    UploadedContact,
    UploadSplit,
    UploadWithdrawn,
)
from streams.records.counted import HourCounted
from streams.records.decisions import (
    LedgerRecord,
    LossAnswer,
    LossRecord,
    Outcome,
    PolicyArchived,
    QuarantinedSms,
    SmsDecision,
)
from streams.records.events import (
    Basis,
    Campaign,
    CampaignState,
    ConsentEvent,
    ConsentKind,
    ContactEntry,
    ContactKind,
    NameConsent,
    Source,
)
from streams.records.inbound import InboundSms, UncertainReply
from streams.records.numbers import NumberUnchecked
from streams.records.requests import SmsRequested
from streams.records.sends import SendsRemembered
from streams.records.subject import Grant, Position, SubjectKey, SubjectState
from streams.records.templates import Template, TemplateVariable, VariableType

NOON = 1_767_268_800_000
"""2026-01-01 12:00:00 UTC: the moment at which these records happen, in milliseconds."""

A_DAY_MS = 86_400_000

A_RECIPIENT = "+12025550123"
A_SUBJECT_ID = bytes(range(16))
AN_UPLOADER_ID = bytes(range(16, 32))


def a_number(index: int) -> str:
    """Give fictional number ``index``, 0 to 99, as E.164."""
    if not 0 <= index <= 99:
        raise ValueError("there are 100 fictional numbers: 0 to 99")
    return f"+120255501{index:02d}"


def an_sms_requested(**changes: Any) -> SmsRequested:
    """Build a plain marketing message that no one but a service set off."""
    return replace(
        SmsRequested(
            request_id="request-1",
            recipient=A_RECIPIENT,
            requested_at=NOON,
            valid_until=NOON + A_DAY_MS,
            purpose="marketing",
            campaign_id="spring",
            sender_id="SHOP",
            template_id=None,
            template_params={},
            body="Spring sale: 20% off until Sunday. Reply STOP to end.",
        ),
        **changes,
    )


def a_consent_event(**changes: Any) -> ConsentEvent:
    """Build an express consent to marketing that the person gave on a web page."""
    return replace(
        ConsentEvent(
            event_id="event-1",
            subject=A_RECIPIENT,
            kind=ConsentKind.GRANTED,
            occurred_at=NOON - A_DAY_MS,
            source=Source.SELF_SERVICE,
            purpose="marketing",
            basis=Basis.EXPRESS,
        ),
        **changes,
    )


def a_withdrawal(**changes: Any) -> ConsentEvent:
    """Build a STOP by SMS: it covers every purpose, sender and campaign."""
    return replace(
        ConsentEvent(
            event_id="event-2",
            subject=A_RECIPIENT,
            kind=ConsentKind.WITHDRAWN,
            occurred_at=NOON,
            source=Source.INBOUND_SMS,
        ),
        **changes,
    )


def a_contact_entry(**changes: Any) -> ContactEntry:
    """Build one entry of an address book that was uploaded of the user's free will."""
    return replace(
        ContactEntry(
            entry_id="upload-1/0",
            kind=ContactKind.ADDED,
            subject_id=A_SUBJECT_ID,
            partition=0,
            uploader_id=AN_UPLOADER_ID,
            upload_id="upload-1",
            position=0,
            mandatory=False,
            undisclosed=False,
            uploaded_at=NOON - A_DAY_MS,
            expires_at=NOON + 29 * A_DAY_MS,
        ),
        **changes,
    )


def a_name_consent(**changes: Any) -> NameConsent:
    """Build a consent to be named in invitations, without an end."""
    return replace(
        NameConsent(
            subject=a_number(45),
            granted=True,
            purpose="invite",
            until=None,
            occurred_at=NOON - A_DAY_MS,
        ),
        **changes,
    )


def a_campaign(**changes: Any) -> Campaign:
    """Build a campaign that runs."""
    return replace(
        Campaign(
            campaign_id="spring",
            state=CampaignState.ACTIVE,
            pause_id=None,
            resumes=None,
            by="campaign-service",
            reason=None,
            since=NOON - A_DAY_MS,
        ),
        **changes,
    )


def a_template(**changes: Any) -> Template:
    """Build an approved template of a password."""
    return replace(
        Template(
            template_id="password",
            version=1,
            purpose="otp",
            jurisdiction=None,
            text="Shop: your code is {code}",
            variables=(TemplateVariable("code", VariableType.CODE),),
            approved_by="a.reviewer",
            approved_at=NOON - A_DAY_MS,
        ),
        **changes,
    )


def a_grant(**changes: Any) -> Grant:
    """Build the grant that :func:`a_consent_event` leaves in a subject's state."""
    return replace(
        Grant(
            purpose="marketing",
            basis=Basis.EXPRESS,
            conditional=False,
            sender_id=None,
            campaign_id=None,
            counts_from=NOON - A_DAY_MS,
            offset=0,
            expires_at=None,
            source=Source.SELF_SERVICE,
            event_id="event-1",
        ),
        **changes,
    )


def a_subject_state(**changes: Any) -> SubjectState:
    """Build the state of a person who consented to marketing and did nothing else."""
    return replace(
        SubjectState(subject_id=A_SUBJECT_ID, placed=True, grants=(a_grant(),)), **changes
    )


def a_subject_key(**changes: Any) -> SubjectKey:
    """Build a wrapped data key. Its bytes unwrap to nothing."""
    return replace(
        SubjectKey(
            subject_id=A_SUBJECT_ID,
            key_id="key-1",
            kek_id="kek-1",
            wrapped=bytes(40),
            created_at=NOON,
        ),
        **changes,
    )


def a_position(**changes: Any) -> Position:
    """Build the position of partition 0 before anything was read."""
    return replace(Position(partition=0, written_at=NOON), **changes)


def sends_remembered(**changes: Any) -> SendsRemembered:
    """Build a checkpoint with one message to the ordinary recipient."""
    packed = A_SUBJECT_ID + NOON.to_bytes(8, "little") + bytes(25)
    return replace(SendsRemembered(0, 1, packed, NOON), **changes)


def an_sms_decision(**changes: Any) -> SmsDecision:
    """Build the first decision of partition 0: allowed by express consent, not signed."""
    return replace(
        SmsDecision(
            decision_id="decision-1",
            request_id="request-1",
            subject_id=A_SUBJECT_ID,
            purpose="marketing",
            campaign_id="spring",
            sender_id="SHOP",
            template_id=None,
            verdict=Outcome.ALLOWED,
            basis="CONSENT_EXPRESS",
            consent_event_id="event-1",
            reasons=(),
            hold_until=None,
            policy_version="sha256-1",
            facts={"consent": "GRANTED", "purpose": "MARKETING"},
            request_partition=0,
            request_offset=0,
            attempt=0,
            sequence=0,
            consent_offset=1,
            contacts_offset=0,
            broadcast_offsets={"campaigns": 0, "names.consents": 0},
            decided_at=NOON,
            previous=b"",
        ),
        **changes,
    )


def a_quarantined_sms(**changes: Any) -> QuarantinedSms:
    """Build a hold of a paused campaign's message. Its sealed bytes open to nothing."""
    return replace(
        QuarantinedSms(
            hold_id="0-0",
            decision_id="decision-1",
            request_id="request-1",
            subject_id=A_SUBJECT_ID,
            purpose="marketing",
            campaign_id="spring",
            reasons=("CAMPAIGN_PAUSED",),
            hold_until=None,
            sealed=bytes(60),
            key_id="key-1",
            quarantined_at=NOON,
        ),
        **changes,
    )


def a_ledger_record(**changes: Any) -> LedgerRecord:
    """Build the ledger's record of :func:`a_consent_event`: applied, first of its chain."""
    return replace(
        LedgerRecord(
            ledger_id="ledger-1",
            subject_id=A_SUBJECT_ID,
            partition=0,
            offset=0,
            event_id="event-1",
            kind=ConsentKind.GRANTED,
            purpose="marketing",
            basis=Basis.EXPRESS,
            conditional=False,
            sender_id=None,
            campaign_id=None,
            source=Source.SELF_SERVICE,
            origin=None,
            occurred_at=NOON - A_DAY_MS,
            appended_at=NOON - A_DAY_MS,
            effective_at=None,
            expires_at=None,
            time_zone=None,
            region=None,
            refusal=None,
            evidence=None,
            key_id=None,
            sequence=0,
            recorded_at=NOON,
            previous=b"",
        ),
        **changes,
    )


def a_loss_record(**changes: Any) -> LossRecord:
    """Build the record of two lost requests that were passed over."""
    return replace(
        LossRecord(
            loss_id="loss-1",
            partition=0,
            topic="sms.requested",
            first=0,
            end=2,
            answer=LossAnswer.SKIPPED,
            reason="the gates stood still for eight days",
            counts_from=0,
            offset=0,
            sequence=0,
            recorded_at=NOON,
            previous=b"",
        ),
        **changes,
    )


def a_policy_archived(**changes: Any) -> PolicyArchived:
    """Build an archived policy of one file."""
    return replace(
        PolicyArchived(
            version="sha256-1",
            files={"policy.yaml": "rules: []\n"},
            loaded_at=NOON,
        ),
        **changes,
    )


def an_upload(**changes: Any) -> ContactsUploaded:
    """Build an upload of two contacts, of the user's free will and told what it is for."""
    return replace(
        ContactsUploaded(
            upload_id="upload-1",
            uploader=a_number(1),
            uploaded_at=NOON - A_DAY_MS,
            app_version="5.2.0",
            basis=UploadBasis(True, ("contact_a_friend",), "notice-3"),
            default_region="US",
            contacts=(
                UploadedContact("(202) 555-0123", "Chen"),
                UploadedContact(a_number(24)),
            ),
        ),
        **changes,
    )


def an_upload_withdrawn(**changes: Any) -> UploadWithdrawn:
    """Build the end of :func:`an_upload`."""
    return replace(UploadWithdrawn("upload-1", a_number(1), NOON), **changes)


def an_upload_split(**changes: Any) -> UploadSplit:
    """Build what the worker made of :func:`an_upload`: an entry of each contact."""
    return replace(
        UploadSplit(
            upload_id="upload-1",
            uploader_id=AN_UPLOADER_ID,
            contacts=2,
            entries=2,
            invalid=0,
            duplicates=0,
            own_number=0,
            withdrawn=False,
            split_at=NOON - A_DAY_MS,
            gone_at=NOON + 29 * A_DAY_MS,
        ),
        **changes,
    )


def a_contacts_screened(**changes: Any) -> ContactsScreened:
    """Build what a gate says of :func:`an_upload`: the first of two is a member."""
    return replace(
        ContactsScreened("upload-1", AN_UPLOADER_ID, 0, (0, 1), (0,), NOON - A_DAY_MS), **changes
    )


def an_upload_completed(**changes: Any) -> UploadCompleted:
    """Build the receipt of :func:`an_upload`."""
    return replace(
        UploadCompleted(
            upload_id="upload-1",
            uploader_id=AN_UPLOADER_ID,
            contacts=2,
            entries=2,
            matched=1,
            forgotten=1,
            invalid=0,
            duplicates=0,
            own_number=0,
            last_trace_at=NOON + 29 * A_DAY_MS,
            withdrawn=False,
            completed_at=NOON,
        ),
        **changes,
    )


def an_inbound_sms(**changes: Any) -> InboundSms:
    """Build a plain STOP to a short code."""
    return replace(InboundSms("message-1", A_RECIPIENT, "36111", "STOP", NOON), **changes)


def an_uncertain_reply(**changes: Any) -> UncertainReply:
    """Build the note of a reply that a person must read."""
    return replace(
        UncertainReply("message-1", A_SUBJECT_ID, 0, 0, "a keyword in a sentence", "US", NOON),
        **changes,
    )


def an_hour_counted(**changes: Any) -> HourCounted:
    """Build what partition 0 has come to of a campaign's hour: nobody withdrew."""
    return replace(HourCounted(about="spring", hour=NOON, partition=0, sends=100), **changes)


def a_number_unchecked(**changes: Any) -> NumberUnchecked:
    """Build the question about a recipient who consented a year before."""
    year = 365 * A_DAY_MS
    return replace(NumberUnchecked(A_RECIPIENT, NOON - year, NOON), **changes)
