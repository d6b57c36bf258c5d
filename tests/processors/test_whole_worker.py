"""
The whole worker beside a gate, killed at random points: nothing is lost, all is counted exactly.

A campaign goes out, people reply, others upload address books, and kill -9 ends the worker again
and again in the middle of it. What is compared are the topics, afterwards.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable

import pytest

from streams.contacts.splitting import Splitting
from streams.processors.agents import AGENTS
from streams.records.contacts import ContactsUploaded, UploadedContact
from streams.records.counted import HourCounted, is_uploader, uploader
from streams.records.decisions import Outcome
from streams.records.events import ContactEntry
from streams.records.inbound import event_of_reply
from streams.testing.records import a_consent_event, an_inbound_sms, an_sms_requested, an_upload
from streams.topology import CONTACTS_ENTRIES, CONTACTS_UPLOADED, HOURS_COUNTED, SMS_INBOUND
from tests.gate.bed import Bed, now_ms, wait_for
from tests.processors.bed import ends, working
from tests.processors.worker_process import worker_process

pytestmark = pytest.mark.kafka

CAMPAIGN = "spring"
CONTACTS = 30
UPLOADERS = 20
STOPS = ("STOP", "Stop. Thank you", "unsubscribe", "STOPP", "\u9000\u8ba2")
OTHERS = ("ok", "Who is this?", "I'll call you on Monday", "\U0001f44d", "Danke!")
ONE_IN = 10
"""Of so many who reply, one says STOP."""


def number_of(index: int) -> str:
    """A number in a country code that no mobile network has numbers in."""
    return f"+888{index:011d}"


class Play:
    """What is written, and what must come of it."""

    def __init__(self, bed: Bed, uploads: int, replies: int) -> None:
        self.bed = bed
        self.choose = random.Random(7)
        self.people = [number_of(index) for index in range(replies)]
        self.stoppers = self.people[::ONE_IN]
        self.uploads = [self.upload(index) for index in range(uploads)]

    def upload(self, index: int) -> ContactsUploaded:
        """A user's address book: half of it is in the user's earlier ones too."""
        by_user = index // UPLOADERS
        start = 10**9 + index % UPLOADERS * 10**6 + by_user * CONTACTS // 2
        return an_upload(
            upload_id=f"upload-{index}",
            uploader=number_of(2 * 10**9 + index % UPLOADERS),
            uploaded_at=now_ms(),
            contacts=tuple(UploadedContact(number_of(start + n)) for n in range(CONTACTS)),
        )

    def campaign(self) -> None:
        """Let those who will stop agree first, and get one message."""
        for number in self.stoppers:
            self.bed.consent(a_consent_event(event_id=f"yes-{number[1:]}", subject=number))
        self.bed.flush()
        for number in self.stoppers:
            request = an_sms_requested(
                request_id=f"ad-{number[1:]}",
                recipient=number,
                campaign_id=CAMPAIGN,
                requested_at=now_ms(),
                valid_until=None,
            )
            self.bed.request(request)
        self.bed.flush()
        wait_for(lambda: len(self.bed.allowed()) == len(self.stoppers), 120, "for the campaign")

    def write(self) -> None:
        """Append all replies and uploads, in no order."""
        bed, names = self.bed, self.bed.settings.names
        records = []
        for index, number in enumerate(self.people):
            body = self.choose.choice(OTHERS if index % ONE_IN else STOPS)
            reply = an_inbound_sms(
                message_id=f"reply-{index}",
                sender=number,
                recipient="36111",
                body=body,
                received_at=now_ms(),
            )
            records.append((SMS_INBOUND, number, bed.codecs.inbound.encode(reply)))
        for upload in self.uploads:
            value = bed.codecs.uploads.encode(upload)
            records.append((CONTACTS_UPLOADED, upload.uploader, value))
        self.choose.shuffle(records)
        for topic, key, value in records:
            bed.write(names.of(topic), key.encode(), value, bed.partition(key))
        bed.flush()

    # ----------------------------------------------------------------------- what must come of it

    def withdrawals(self) -> set[str]:
        """The ids of the withdrawals that must be there."""
        return {event_of_reply(f"reply-{index}") for index in range(0, len(self.people), ONE_IN)}

    def entries(self) -> dict[str, ContactEntry]:
        """Every entry that must be there."""
        found: dict[str, ContactEntry] = {}
        for upload in self.uploads:
            splitting = Splitting(
                upload,
                appended_at=upload.uploaded_at,  # and not before: that bounds it from above
                subject_id=self.bed.keyring.subject_ids.of,
                partition=self.bed.partition,
                keep_days=self.bed.settings.contact_entry_days,
                contact_purposes=self.bed.settings.contact_purposes,
            )
            found |= {entry.entry_id: entry for piece in splitting.pieces() for entry in piece}
        return found

    def brought_in(self) -> dict[str, tuple[int, int]]:
        """Contacts, and numbers newly touched, of each uploader."""
        users: dict[str, list[ContactsUploaded]] = {}
        for upload in self.uploads:
            about = uploader(self.bed.keyring.subject_ids.of(upload.uploader))
            users.setdefault(about, []).append(upload)
        return {
            about: (
                sum(len(upload.contacts) for upload in some),
                len({contact.number for upload in some for contact in upload.contacts}),
            )
            for about, some in users.items()
        }


def counted(bed: Bed) -> list[HourCounted]:
    """The last word of each partition on each hour."""
    found = bed.read(bed.settings.names.of(HOURS_COUNTED))
    last = {message.key(): message.value() for message in found}
    return [bed.codecs.counted.decode(value) for value in last.values()]


def answers(bed: Bed) -> tuple[int, int]:
    """Messages of the campaign and withdrawals that answer them, over its hours."""
    some = [each for each in counted(bed) if each.about == CAMPAIGN]
    return sum(each.sends for each in some), sum(each.withdrawals for each in some)


def brought_in(bed: Bed) -> dict[str, tuple[int, int]]:
    """What each uploader brought in, over the hours."""
    found: dict[str, tuple[int, int]] = {}
    for each in counted(bed):
        if is_uploader(each.about):
            contacts, new = found.get(each.about, (0, 0))
            found[each.about] = contacts + each.contacts, new + each.new_numbers
    return found


def progress(bed: Bed) -> int:
    """How far the worker has come: cheaper to ask than to read."""
    names = bed.settings.names
    topics = (names.of(CONTACTS_ENTRIES), bed.topics.consent)
    return sum(sum(ends(bed, topic).values()) for topic in topics)


def killed_again_and_again(bed: Bed, play: Play, kills: int) -> None:
    """Run the worker in processes of its own, each of which ends by SIGKILL at a random moment."""
    written = False
    for _ in range(kills):
        before = progress(bed)
        with worker_process(bed, agents="all") as process:
            if not written:
                play.write()
                written = True
            wait_for(lambda: progress(bed) > before, 60)  # noqa: B023
            time.sleep(play.choose.uniform(0, 1))  # the moment of the kill is the test's subject
            process.kill()
            process.wait(60)


def until(bed: Bed, condition: Callable[[], object], what: str) -> None:
    """Let a last worker work until it is so."""
    with working(bed, *AGENTS) as worker:
        worker.until(condition, 300, what)


@pytest.mark.parametrize(
    ("uploads", "replies", "kills"),
    [
        pytest.param(20, 1_000, 2, id="a_few", marks=pytest.mark.slow),
        pytest.param(
            *(200, 20_000, 10),
            id="as_many_as_promised",
            marks=[pytest.mark.soak, pytest.mark.timeout(1_200)],
        ),
    ],
)
def test_killed_at_random_points_it_loses_nothing_and_counts_exactly(
    bed: Bed, uploads: int, replies: int, kills: int
) -> None:
    play = Play(bed, uploads, replies)
    with bed.ready_gate():
        play.campaign()
        killed_again_and_again(bed, play, kills)
        stops = len(play.stoppers)
        until(bed, lambda: answers(bed)[1] >= stops, "for the last withdrawal to be counted")
        until(bed, lambda: brought_in(bed) == play.brought_in(), "for the uploads to be counted")
        wait_for(lambda: asked_for(bed) <= decided(bed), 120, "for the confirmations")

    # No withdrawal is lost, and every one was applied once.
    applied = Counter(each.event_id for each in bed.ledger() if each.refusal is None)
    assert {name for name in applied if name.startswith("inbound/")} == play.withdrawals()
    assert set(applied.values()) == {1}
    # Entries are those of the uploads, however often they were written.
    found = bed.read(bed.settings.names.of(CONTACTS_ENTRIES))
    entries = [bed.codecs.contact_entries.decode(message.value()) for message in found]
    assert {entry.entry_id: entry for entry in entries} == play.entries()
    # What was counted is exact.
    assert answers(bed) == (stops, stops)
    assert brought_in(bed) == play.brought_in()
    # Nobody got a second confirmation, and nothing else after their STOP.
    passed = Counter(request.request_id for request in bed.allowed())
    assert set(passed.values()) == {1}
    confirmed = {name for name in passed if name.startswith("inbound/")}
    assert confirmed
    assert confirmed == asked_for(bed)
    assert confirmed <= play.withdrawals()
    assert len(passed) == stops + len(confirmed)


def asked_for(bed: Bed) -> set[str]:
    """The ids of the confirmations that the worker asked for."""
    found = [bed.codecs.requests.decode(m.value()) for m in bed.read(bed.topics.requests)]
    return {request.request_id for request in found if request.request_id.startswith("inbound/")}


def decided(bed: Bed) -> set[str]:
    """The ids of what the gate has let pass."""
    return {each.request_id for each in bed.decisions() if each.verdict is Outcome.ALLOWED}
