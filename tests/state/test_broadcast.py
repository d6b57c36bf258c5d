"""The broadcast tables: who may be named, which campaigns are paused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.records.counted import uploader
from streams.records.events import Campaign, CampaignState
from streams.state.broadcast import CampaignTable, NameConsentTable
from streams.testing.records import NOON, a_campaign, a_name_consent, a_number

NAMED, OTHER = a_number(1), a_number(2)


def named(**changes: object) -> NameConsentTable:
    table = NameConsentTable()
    table.apply(NAMED, a_name_consent(subject=NAMED, **changes))
    return table


def test_without_a_record_nobody_may_be_named() -> None:
    assert not NameConsentTable().allows(NAMED, "invite", NOON)


def test_a_consent_allows_that_person_and_purpose() -> None:
    table = named(purpose="invite")
    assert table.allows(NAMED, "invite", NOON)
    assert not table.allows(NAMED, "marketing", NOON)
    assert not table.allows(OTHER, "invite", NOON)


def test_one_without_a_purpose_allows_every_purpose() -> None:
    assert named(purpose=None).allows(NAMED, "marketing", NOON)


def test_it_ends_at_its_last_moment() -> None:
    table = named(until=NOON)
    assert table.allows(NAMED, "invite", NOON - 1)
    assert not table.allows(NAMED, "invite", NOON)


def test_a_no_and_a_tombstone_take_it_back() -> None:
    for last in (a_name_consent(subject=NAMED, granted=False), None):
        table = named()
        table.apply(NAMED, last)
        assert not table.allows(NAMED, "invite", NOON)


def test_a_tombstone_of_somebody_unknown_changes_nothing() -> None:
    table = named()
    table.apply(OTHER, None)
    assert table.allows(NAMED, "invite", NOON)


def test_under_another_key_it_takes_the_keys_consent_back_and_allows_nobody() -> None:
    table = named()
    table.apply(NAMED, a_name_consent(subject=OTHER))
    assert not table.allows(NAMED, "invite", NOON)
    assert not table.allows(OTHER, "invite", NOON)


def pause(pause_id: str | None, campaign_id: str = "spring") -> Campaign:
    return a_campaign(campaign_id=campaign_id, state=CampaignState.PAUSED, pause_id=pause_id)


def end(pause_id: str | None) -> Campaign:
    return a_campaign(state=CampaignState.ACTIVE, resumes=pause_id)


def table_of(*records: Campaign) -> CampaignTable:
    table = CampaignTable(str.encode)
    for record in records:
        table.apply(record)
    return table


def test_a_campaign_that_nobody_paused_runs() -> None:
    assert not table_of(a_campaign()).paused("spring")


def test_a_pause_stops_that_campaign_only() -> None:
    table = table_of(pause("1"))
    assert table.paused("spring")
    assert not table.paused("autumn")


def test_only_the_record_that_names_it_ends_a_pause() -> None:
    assert table_of(pause("1"), a_campaign()).paused("spring")
    assert table_of(pause("1"), end("2")).paused("spring")
    assert table_of(pause("1"), pause("2"), end("1")).paused("spring")
    assert not table_of(pause("1"), pause("2"), end("1"), end("2")).paused("spring")


def test_an_end_before_its_pause_ends_nothing_later() -> None:
    assert table_of(end("1"), pause("1")).paused("spring")


def test_an_end_of_another_campaign_ends_nothing() -> None:
    other = a_campaign(campaign_id="autumn", resumes="1")
    assert table_of(pause("1"), other).paused("spring")


def test_a_pause_without_an_id_is_a_pause() -> None:
    assert table_of(pause(None)).paused("spring")
    assert table_of(pause(None), a_campaign()).paused("spring")
    assert not table_of(pause(None), end("")).paused("spring")


def test_what_has_ended_is_told_once_and_only_if_no_pause_is_left() -> None:
    table = table_of(pause("1"), pause("2"), end("2"))
    assert table.take_ended() == set()
    table.apply(end("1"))
    table.apply(end("1"))
    assert table.take_ended() == {"spring"}
    table.apply(end("1"))
    assert table.take_ended() == set()


def test_what_cannot_be_read_pauses_the_campaign_of_its_key() -> None:
    for key in ("spring", "spring#1"):
        table = CampaignTable(str.encode)
        table.pause_unreadable(key)
        assert table.paused("spring")
        assert not table.paused("autumn")
        table.apply(end("1"))
        assert table.paused("spring"), "only what names it ends it"
        table.apply(end(f"unreadable {key}"))
        assert not table.paused("spring")


pauses = st.sampled_from(("1", "2", "3"))
records = st.lists(st.one_of(pauses.map(pause), pauses.map(end), st.just(a_campaign())))


@given(records)
def test_a_campaign_is_paused_as_long_as_a_pause_has_no_later_end(history: list[Campaign]) -> None:
    standing = set()
    for record in history:
        if record.state is CampaignState.PAUSED:
            standing.add(record.pause_id)
        elif record.resumes is not None:
            standing.discard(record.resumes)
    assert table_of(*history).paused("spring") is bool(standing)


@given(records)
def test_compaction_changes_nothing_as_long_as_each_pause_has_a_key_of_its_own(
    history: list[Campaign],
) -> None:
    last: dict[str, Campaign] = {}
    for record in history:
        of = record.pause_id or record.resumes
        key = "spring" if of is None else f"spring#{of}"
        last.pop(key, None)  # the last record of a key stays, at its own place
        last[key] = record
    assert table_of(*last.values()).paused("spring") is table_of(*history).paused("spring")


def test_an_uploader_is_paused_under_the_hash_of_their_number() -> None:
    table = table_of(pause("1", campaign_id=uploader(b"+12025550101")))
    assert table.user_paused("+12025550101")
    assert not table.user_paused("+12025550102")
    assert not table_of(pause("1", campaign_id="+12025550101")).user_paused("+12025550101")
    assert table.standing() == {uploader(b"+12025550101"): ("1",)}
