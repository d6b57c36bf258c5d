"""What compaction took of the broadcast topics, and of whom nothing can be told for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from streams.audit.broadcast_history import BroadcastHistory, read_broadcasts
from streams.audit.topic_log import Extent, TopicLog
from streams.codec.codec import open_codecs
from streams.records.counted import uploader
from streams.records.events import CampaignState
from streams.records.requests import Initiator, NamedPerson, SmsRequested
from streams.testing.records import a_campaign, a_name_consent, a_number, an_sms_requested
from streams.topology import BROADCAST, CAMPAIGNS, NAMES_CONSENTS, TEMPLATES, Topic

CODECS = open_codecs()
LIN, CHEN = a_number(45), a_number(46)
USER = a_number(47)


@dataclass
class Kept:
    """A record that compaction left."""

    at: int
    name: str
    raw: bytes | None

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes:
        return self.name.encode()

    def value(self) -> bytes | None:
        return self.raw


class Logs:
    """The three topics as they are now."""

    def __init__(self, **kept: list[Kept]) -> None:
        self._kept = kept

    def extent(self, topic: Topic, partition: int) -> Extent:
        return Extent(0, 100)

    def read(self, topic: Topic, partition: int, start: int, end: int) -> Iterator[Any]:
        return iter(self._kept.get(topic.name.partition(".")[0], []))


def history(at: int, **kept: list[Kept]) -> BroadcastHistory:
    tables = read_broadcasts(cast(TopicLog, Logs(**kept)), CODECS, lambda number: number.encode())
    assert tables.to({topic.name: at for topic in BROADCAST}) == ()
    return tables


def name(at: int, number: str, *, granted: bool = True) -> Kept:
    record = a_name_consent(subject=number, granted=granted)
    return Kept(at, number, CODECS.name_consents.encode(record))


def campaign(at: int, key: str, *, paused: bool = True) -> Kept:
    state = CampaignState.PAUSED if paused else CampaignState.ACTIVE
    about, _, pause_id = key.partition("#")
    record = a_campaign(campaign_id=about, state=state, pause_id=pause_id or None)
    if not paused:
        record = replace(record, resumes=pause_id)
    return Kept(at, key, CODECS.campaigns.encode(record))


def naming(*numbers: str) -> SmsRequested:
    return an_sms_requested(named_persons=tuple(NamedPerson("somebody", each) for each in numbers))


def test_where_nothing_is_missing_everything_is_known_even_of_whom_nothing_is_kept() -> None:
    whole = history(2, names=[name(0, LIN), name(1, LIN), name(2, CHEN)])

    assert whole.names_known(naming(LIN, CHEN))
    assert whole.names.allows(LIN, "invite", 0)
    assert not whole.names.allows(CHEN, "invite", 0)  # from the next offset on


def test_of_whom_a_record_is_kept_nothing_later_was_compacted_away() -> None:
    compacted = history(50, names=[name(10, LIN), name(60, CHEN)])

    assert compacted.names_known(naming(LIN))
    assert not compacted.names_known(naming(CHEN))  # it may have been written over at 60
    assert not compacted.names_known(naming(LIN, CHEN))
    assert compacted.names_known(naming())


@pytest.mark.parametrize(
    ("kept", "known"),
    [
        ([], True),  # tombstones end nothing, so nobody writes any
        ([campaign(10, "spring#p1")], True),
        ([campaign(10, "spring#p1"), campaign(60, "spring#p2", paused=False)], False),
        ([campaign(60, "spring#p1", paused=False)], False),
        ([campaign(10, "spring")], False),  # for who read it before, an earlier pause may stand
        ([campaign(60, "autumn#p1", paused=False)], True),
        ([campaign(60, f"{uploader(USER.encode())}#p1", paused=False)], False),
    ],
)
def test_a_pause_may_be_gone_only_where_its_campaign_or_user_was_written_again(
    kept: list[Kept], known: bool
) -> None:
    compacted = history(50, campaigns=kept)

    asked = an_sms_requested(campaign_id="spring", initiator=Initiator(USER, "tap"))
    assert compacted.campaigns_known(asked) is known


def test_a_stamp_goes_neither_back_nor_behind_the_end() -> None:
    tables = history(10, names=[name(0, LIN)])

    stamps = {NAMES_CONSENTS.name: 9, CAMPAIGNS.name: 101, TEMPLATES.name: 10}
    assert tables.to(stamps) == (NAMES_CONSENTS.name, CAMPAIGNS.name)
    assert tables.to({NAMES_CONSENTS.name: 10, CAMPAIGNS.name: 10, TEMPLATES.name: 100}) == ()
