"""
The scenes of the day: each is one kind of request, and what must come of it.

A scene is a method that writes one request, or a STOP and then the request. What is expected is the
default policy's answer; with another policy it is not compared.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from hashlib import sha256
from itertools import count, cycle
from random import Random
from typing import Any

from streams.demo.acts import Act, Expected, Setting, allowed, dead, dropped, held
from streams.demo.eve import paused_campaign, stop
from streams.demo.people import COUNTRY, People, Person, Standing
from streams.errors import KeyMismatch, Misplaced, NotE164, Undecodable
from streams.kafka.placement import partition_of
from streams.records.inbound import InboundSms, event_of_reply
from streams.records.requests import (
    Claim,
    ClaimEvidence,
    Initiator,
    InitiatorEvidence,
    NamedPerson,
    Occasion,
    SmsRequested,
    TextAuthor,
)
from streams.topology import DAY_MS, SMS_INBOUND, SMS_REQUESTED

THE_CASE = "the-case"
"""The name of the request that is the case (see :func:`Cast.the_case`)."""

_FRIENDS = 36

_SHOP, _NETWORK = "SHOP", "NETWORK"

_LIKE_THE_CASE = dropped(
    "THIRD_PARTY_NUMBER",
    "UPLOAD_MANDATORY",
    "UPLOAD_UNDISCLOSED",
    "PLATFORM_INITIATED",
    "NAMES_THIRD_PARTY",
    "CLAIM_UNSUPPORTED",
    "NO_CONSENT",
    "LINK_UNKNOWN",
    "OPT_OUT_TEXT_MISSING",
)

_LIKE_THE_CASE_BUT_LISTED = dropped(
    *(r for r in _LIKE_THE_CASE.because if r not in ("UPLOAD_MANDATORY", "UPLOAD_UNDISCLOSED"))
)

_STOP_WORDS = (
    "STOP",
    "Stop. Thank you!",
    "unsubscribe",
    "STOPP",
    "Arr\u00eat",
    "\u9000\u8ba2",
    "Baja",
)
"""How people say STOP: each is one in the keyword lists, whatever the country."""

_SHORT_CODE = "7726"


class Cast:
    """
    Writes the scenes of one day: who acts in them, and numbering.

    Every body carries a reference that no other body of the run has: a text that turns up where it
    should not can be told from every other.
    """

    def __init__(self, setting: Setting, people: People, rng: Random) -> None:
        self.setting = setting
        self._people = people
        self._rng = rng
        self._numbers = count(1)
        self._about_to_decline = iter(people.of(Standing.ABOUT_TO_DECLINE))
        self._about_to_reply = iter(people.of(Standing.ABOUT_TO_REPLY))
        # In turn: the default policy lets few messages of a kind through to one person.
        self._in_turn = {standing: cycle(people.of(standing)) for standing in Standing}
        self._adverts: Counter[Person] = Counter()

    # ----------------------------------------------------------------------------------- the case

    def the_case(self) -> list[Act]:
        """
        Write the case: what the court found, in our own words.

        To somebody who never registered and stands in a mandatory, undisclosed upload; set off by
        a user's rating, written by the platform; a stock claim, an estimate, friends by name, and a
        link to the registration page.
        """
        recipient = self._people.of(Standing.UPLOADED)[0]
        return [self._case(recipient, self.setting.named(THE_CASE), _FRIENDS)]

    def like_the_case(self) -> list[Act]:
        """Write the same to somebody else, with a few friends only."""
        return [self._case(self._one(Standing.UPLOADED), self._id(), self._rng.randint(2, 5))]

    def _case(self, recipient: Person, request_id: str, friends: int) -> Act:
        rater = self._one(Standing.MEMBER)
        named = self._rng.sample(self._people.of(Standing.CONSENTING), friends)
        names = ", ".join(friend.name for friend in named)
        body = (
            f"{recipient.name}, a former colleague has praised your work on NETWORK and has 119 "
            f"contacts for you. {names}: {friends} friends are waiting. Your code {request_id} is "
            "good for 24 hours: https://network.example/register"
        )
        request = self._request(
            recipient,
            request_id=request_id,
            purpose="invite",
            sender_id=_NETWORK,
            body=body,
            initiator=Initiator(
                rater.number, "rating", InitiatorEvidence(text_author=TextAuthor.PLATFORM)
            ),
            named_persons=tuple(NamedPerson(friend.name, friend.number) for friend in named),
            claims=(
                Claim("former_colleague", ClaimEvidence.NONE),
                Claim("professional_contacts", ClaimEvidence.INFERRED),
            ),
        )
        return self._act(request, _LIKE_THE_CASE)

    def invitation_from_listed_number(self) -> list[Act]:
        """Write the same to somebody whose number was uploaded by choice, for this very purpose."""
        act = self._case(self._one(Standing.LISTED), self._id(), self._rng.randint(2, 5))
        return [replace(act, expected=_LIKE_THE_CASE_BUT_LISTED)]

    def case_called_a_password(self) -> list[Act]:
        """Write the invitation as a password: its code is "good for 24 hours"."""
        recipient, friend = self._one(Standing.UPLOADED), self._one(Standing.CONSENTING)
        request = self._request(
            recipient,
            purpose="otp",
            sender_id=_NETWORK,
            body=f"{friend.name} and 36 friends wait for you. Your code: {self._reference()}.",
            occasion=Occasion("registration", self._reference()),
            initiator=Initiator(self._one(Standing.MEMBER).number, "rating"),
            named_persons=(NamedPerson(friend.name, friend.number),),
        )
        return [self._act(request, held("PURPOSE_MISMATCH"))]

    # -------------------------------------------------------------------------------- invitations

    def invitation(self) -> list[Act]:
        """Let a user invite somebody who agreed to it: the counter-example, which passes."""
        return [
            self._invited(
                next(self._in_turn[Standing.INVITABLE]), allowed("eu/consent-to-invitations")
            )
        ]

    def invitation_to_stranger(self) -> list[Act]:
        """The user did everything right; the recipient agreed to nothing."""
        return [self._invited(self._one(Standing.STRANGER), dropped("NO_CONSENT"))]

    def invitation_naming_willing(self) -> list[Act]:
        """Name a friend who allows it."""
        friend = self._one(Standing.NAMEABLE)
        recipient = next(self._in_turn[Standing.INVITABLE])
        return [self._invited(recipient, allowed("eu/consent-to-invitations"), friend)]

    def invitation_naming_unasked(self) -> list[Act]:
        """Name a friend whom nobody asked."""
        friend = self._one(Standing.CONSENTING)
        return [self._invited(self._one(Standing.INVITABLE), dropped("NAMES_THIRD_PARTY"), friend)]

    def invitation_changed_after(self) -> list[Act]:
        """Say that the user confirmed a text, and send another one."""
        recipient = self._one(Standing.INVITABLE)
        return [self._invited(recipient, held("EVIDENCE_CONTRADICTORY"), changed=True)]

    def _invited(
        self,
        recipient: Person,
        expected: Expected,
        friend: Person | None = None,
        *,
        changed: bool = False,
    ) -> Act:
        user = self._one(Standing.MEMBER)
        also = f" {friend.name} is here too." if friend else ""
        body = (
            f"Hi, {user.name} here: I am on NETWORK now.{also} Join me? {self._reference()}. "
            "Reply STOP to end."
        )
        confirmed = f"{recipient.number}\n{'Hello.' if changed else body}"
        evidence = InitiatorEvidence(
            recipient_hand_picked=True,
            effect_disclosed=True,
            text_shown=True,
            confirmed_at=self.setting.now_ms,
            confirmed_sha256=sha256(confirmed.encode()).hexdigest(),
            text_author=TextAuthor.USER,
            screen_version="invite-7",
        )
        named = [NamedPerson(user.name, user.number, "referrer")]
        if friend is not None:
            named.append(NamedPerson(friend.name, friend.number))
        request = self._request(
            recipient,
            purpose="invite",
            sender_id=_NETWORK,
            body=body,
            initiator=Initiator(user.number, "tap_invite", evidence),
            named_persons=tuple(named),
        )
        return self._act(request, expected)

    # -------------------------------------------------------------------------------- advertising

    def advertising(self, standing: Standing, expected: Expected) -> list[Act]:
        """Advertise to somebody of this standing."""
        return [self._act(self._advert(next(self._in_turn[standing])), expected)]

    def advertising_after_reply(self) -> list[Act]:
        """Let somebody reply STOP; send as soon as Kafka has acknowledged what comes of it."""
        person = next(self._about_to_reply)
        reply = InboundSms(
            message_id=self.setting.named(f"reply-{person.index}"),
            sender=person.number,
            recipient=_SHORT_CODE,
            body=self._rng.choice(_STOP_WORDS),
            received_at=self.setting.now_ms,
        )
        replied = Act(
            SMS_INBOUND,
            person.key,
            self.setting.codecs.inbound.encode(reply),
            reply,
            causes=event_of_reply(reply.message_id),
        )
        advert = self._act(self._advert(person), dropped("SUPPRESSED"), after=replied.causes)
        return [replied, advert]

    def advertising_after_decline(self) -> list[Act]:
        """Let somebody withdraw advertising only; send as soon as Kafka has acknowledged it."""
        person = next(self._about_to_decline)
        stopped = stop(self.setting, person, f"stop-now-{person.index}", "marketing")
        expected = dropped("CONSENT_WITHDRAWN")
        return [stopped, self._act(self._advert(person), expected, after=stopped.label)]

    def advertising_in_paused_campaign(self) -> list[Act]:
        """Advertise in a campaign that somebody paused."""
        request = self._advert(
            self._one(Standing.CONSENTING), campaign_id=paused_campaign(self.setting)
        )
        return [self._act(request, held("CAMPAIGN_PAUSED"))]

    def advertising_too_late(self) -> list[Act]:
        """Advertise what is over."""
        request = self._advert(
            self._one(Standing.CONSENTING), valid_until=self.setting.now_ms - 1000
        )
        return [self._act(request, dropped("EXPIRED"))]

    def purpose_unheard_of(self) -> list[Act]:
        """State a purpose that no policy declares."""
        request = self._advert(self._one(Standing.CONSENTING), purpose="engagement")
        return [self._act(request, held("PURPOSE_UNKNOWN"))]

    def _advert(self, recipient: Person, **changes: Any) -> SmsRequested:
        """Write an advertisement of a campaign that has not reached this person yet."""
        self._adverts[recipient] += 1
        body = (
            f"Spring sale: 20% off everything until Sunday. Code {self._reference()}. "
            "Reply STOP to end."
        )
        fields = {
            "purpose": "marketing",
            "campaign_id": self.setting.named(f"spring-{self._adverts[recipient]}"),
            "sender_id": _SHOP,
            "body": body,
            "valid_until": self.setting.now_ms + DAY_MS,
            "initiator": Initiator(trigger="schedule"),
        }
        return self._request(recipient, **fields | changes)

    # ------------------------------------------------------------------------- news and passwords

    def password(self) -> list[Act]:
        """Send a password to somebody who asks for one just now, whatever they stopped."""
        person = self._one(self._rng.choice(_ASK_FOR_PASSWORDS))
        return [self._act(self._password(person, asked=True), allowed("eu/requested-by-recipient"))]

    def password_unasked(self) -> list[Act]:
        """Send a password that nobody asked for."""
        request = self._password(self._one(Standing.MEMBER), asked=False)
        return [self._act(request, held("OCCASION_MISSING"))]

    def _password(self, person: Person, *, asked: bool) -> SmsRequested:
        return self._request(
            person,
            purpose="otp",
            sender_id=_SHOP,
            body=f"Your one-time password is {self._reference()}. Tell it to nobody.",
            occasion=Occasion("login", self._reference(), self.setting.now_ms) if asked else None,
            valid_until=self.setting.now_ms + DAY_MS,
        )

    def news(self, standing: Standing, expected: Expected, *, order: bool = True) -> list[Act]:
        """Send news about an order, or about nothing."""
        reference = self._reference()
        request = self._request(
            self._one(standing),
            purpose="transactional",
            sender_id=_SHOP,
            body=f"Order {reference} is on its way and arrives tomorrow.",
            occasion=Occasion("order", reference) if order else None,
        )
        return [self._act(request, expected)]

    def reply(self) -> list[Act]:
        """Answer somebody who wrote to us."""
        reference = self._reference()
        request = self._request(
            self._one(Standing.STRANGER),
            purpose="service_reply",
            sender_id=_SHOP,
            body=f"Thank you for writing. Your question {reference} has been passed on.",
            occasion=Occasion("inbound_sms", reference, self.setting.now_ms),
        )
        return [self._act(request, allowed("eu/reply-to-recipient"))]

    # ----------------------------------------------------------------------- what cannot be judged

    def noise(self) -> list[Act]:
        """Write bytes that no schema reads."""
        value = b"\x7f" + self._rng.randbytes(self._rng.randint(1, 300))
        return [self._dead(self._one(Standing.CONSENTING).key, value)]

    def truncated(self) -> list[Act]:
        """Write half of a request."""
        person = self._one(Standing.CONSENTING)
        value = self._encoded(self._advert(person))
        return [self._dead(person.key, value[: len(value) // 2])]

    def emptiness(self) -> list[Act]:
        """Write nothing, as an empty value or as none."""
        return [self._dead(self._one(Standing.CONSENTING).key, self._rng.choice((b"", None)))]

    def another_kind_of_record(self) -> list[Act]:
        """Write a consent event among the requests."""
        person = self._one(Standing.CONSENTING)
        event = stop(self.setting, person, f"astray-{next(self._numbers)}", None)
        return [self._dead(person.key, event.value)]

    def foreign_key(self) -> list[Act]:
        """Write a request under somebody else's number: no STOP of the recipient would be found."""
        recipient, other = self._people.of(Standing.CONSENTING)[:2]
        request = self._advert(recipient)
        return [self._act(request, dead(KeyMismatch), key=other.key)]

    def misplaced(self) -> list[Act]:
        """Write a request where a producer with another partitioner might put it."""
        person, partitions = self._one(Standing.STRANGER), self.setting.partitions
        elsewhere = (partition_of(person.key, partitions) + 1) % partitions
        # With one partition nothing can be misplaced.
        expected = dead(Misplaced) if partitions > 1 else dropped("NO_CONSENT")
        return [self._act(self._advert(person), expected, partition=elsewhere)]

    def no_number(self) -> list[Act]:
        """Write a request whose recipient is a number as people dial it, not E.164."""
        dialled = self._one(Standing.CONSENTING).number.replace(COUNTRY, "0")
        request = self._advert(Person(0, "", dialled, Standing.STRANGER))
        return [self._act(request, dead(NotE164))]

    def _dead(self, key: bytes, value: bytes | None) -> Act:
        return Act(SMS_REQUESTED, key, value, expected=dead(Undecodable))

    # -------------------------------------------------------------------------------------- parts

    def _one(self, standing: Standing) -> Person:
        return self._rng.choice(self._people.of(standing))

    def _id(self) -> str:
        return self.setting.named(f"{next(self._numbers):06d}")

    def _reference(self) -> str:
        """Give a reference that is given once in this run: ``K7-000123-481516``."""
        return f"K{next(self._numbers):06d}-{self._rng.randrange(10**6):06d}"

    def _request(self, recipient: Person, **fields: Any) -> SmsRequested:
        plain: dict[str, Any] = {
            "request_id": fields.pop("request_id", None) or self._id(),
            "recipient": recipient.number,
            "requested_at": self.setting.now_ms,
            "valid_until": None,
            "campaign_id": None,
            "template_id": None,
            "template_params": {},
            "region": recipient.region,
        }
        return SmsRequested(**plain | fields)

    def _encoded(self, request: SmsRequested) -> bytes:
        return self.setting.codecs.requests.encode(request)

    def _act(
        self,
        request: SmsRequested,
        expected: Expected,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        after: str | None = None,
    ) -> Act:
        return Act(
            SMS_REQUESTED,
            request.recipient.encode() if key is None else key,
            self._encoded(request),
            request,
            partition=partition,
            after=after,
            expected=expected,
        )


_ASK_FOR_PASSWORDS = (
    Standing.MEMBER,
    Standing.CONSENTING,
    Standing.STOPPED,
    Standing.DECLINED,
    Standing.ABOUT_TO_DECLINE,
    Standing.ABOUT_TO_REPLY,
)
