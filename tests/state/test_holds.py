"""What holds wait for, and when they are decided again."""

from __future__ import annotations

import pytest

from streams.records.counted import uploader
from streams.state.holds import ENDS_EARLY_MS, SPREAD_MS, UNCHANGED_MS, Held, Waiting, held_of
from streams.testing.records import A_SUBJECT_ID, NOON, a_quarantined_sms

HOUR = 3_600_000
WEEK = 7 * 24 * HOUR
SPRING = "spring"
"""The campaign of the holds here."""


def a_hold(offset: int = 1, **changes: object) -> Held:
    fields = {"hold_id": f"0-{offset}", **changes}
    return held_of(a_quarantined_sms(**fields), WEEK)


def a_watched_partition() -> Waiting:
    """With no holds, and its campaigns looked at once."""
    waiting = Waiting()
    waiting.campaigns_resumed((), all_paused)
    return waiting


def all_paused(campaign_id: str) -> bool:
    return True


def none_paused(campaign_id: str) -> bool:
    return False


def offsets(taken: list[Held]) -> list[int]:
    return [held.offset for held in taken]


def test_a_hold_with_a_time_is_due_then_or_a_little_later() -> None:
    until = NOON + 10 * HOUR
    dues = {a_hold(offset, hold_until=until).due_at for offset in range(200)}
    assert min(dues) >= until
    assert max(dues) <= until + SPREAD_MS
    assert len(dues) > 100
    soon = a_hold(hold_until=NOON + 1_000)
    assert NOON + 1_000 <= soon.due_at <= NOON + 1_050


def test_a_hold_ends_when_its_message_is_of_no_use_or_shortly_before_its_topic_forgets_it() -> None:
    assert a_hold().ends_at == a_hold().due_at == NOON + WEEK - ENDS_EARLY_MS
    assert a_hold(valid_until=NOON + 5).ends_at == NOON + 5
    assert a_hold(valid_until=NOON + 5, hold_until=NOON + 9).due_at == NOON + 5


def test_what_is_due_first_is_taken_first_and_no_more_than_asked_for() -> None:
    waiting = Waiting()
    for offset, hours in ((1, 3), (2, 1), (3, 2)):
        waiting.add(a_hold(offset, reasons=("QUIET_HOURS",), hold_until=NOON + hours * HOUR))
    assert not waiting.is_due(NOON)
    later = NOON + 4 * HOUR
    assert waiting.is_due(later)
    assert offsets(waiting.take(later, 2)) == [2, 3]
    assert offsets(waiting.take(later, 2)) == [1]
    assert not waiting.is_due(later)
    assert len(waiting) == 0


def test_how_many_wait_is_known_by_the_severest_reason_of_each() -> None:
    waiting = Waiting()
    waiting.add(a_hold(1, reasons=("POLICY_ERROR", "QUIET_HOURS"), hold_until=NOON + HOUR))
    waiting.add(a_hold(2, reasons=("QUIET_HOURS",), hold_until=NOON + HOUR))
    waiting.add(a_hold(2, reasons=("FREQUENCY",), hold_until=NOON + HOUR, attempt=1))
    assert waiting.by_reason == {"POLICY_ERROR": 1, "QUIET_HOURS": 0, "FREQUENCY": 1}
    waiting.put_back(waiting.take(NOON + 2 * HOUR, 1))
    assert waiting.by_reason == {"POLICY_ERROR": 1, "QUIET_HOURS": 0, "FREQUENCY": 1}
    waiting.take(NOON + 2 * HOUR, 2)
    assert not any(waiting.by_reason.values())


def test_holds_are_overdue_from_their_time_on_until_they_are_decided() -> None:
    waiting = Waiting()
    assert waiting.overdue_ms(NOON) == 0
    waiting.add(a_hold(1, valid_until=NOON + 1_000))
    waiting.add(a_hold(2, valid_until=NOON + 3_000))
    waiting.add(a_hold(3, valid_until=NOON + 500))
    waiting.remove(3)  # settled before its time
    assert waiting.overdue_ms(NOON + 1_000) == 0
    assert waiting.overdue_ms(NOON + 9_000) == 8_000
    waiting.take(NOON + 9_000, 1)
    assert waiting.overdue_ms(NOON + 9_000) == 6_000


def test_what_was_woken_is_overdue_from_when_it_was_first_found_to_wait() -> None:
    waiting = Waiting()
    for offset in (1, 2):
        waiting.add(a_hold(offset, reasons=("POLICY_ERROR",)))
    waiting.policy_changed()
    assert waiting.overdue_ms(NOON) == 0
    waiting.take(NOON, 1)
    assert waiting.overdue_ms(NOON + 2_000) == 2_000
    waiting.put_back(waiting.take(NOON + 3_000, 1))
    assert waiting.overdue_ms(NOON + 4_000) == 0, "it was looked at meanwhile"


@pytest.mark.parametrize(
    ("reasons", "change"),
    [
        (("PURPOSE_UNKNOWN",), Waiting.policy_changed),
        (("POLICY_ERROR",), Waiting.policy_changed),
        (("CAMPAIGN_PAUSED",), lambda waiting: waiting.campaigns_resumed({SPRING}, none_paused)),
        (("STATE_UNDECODABLE",), lambda waiting: waiting.subjects_changed([A_SUBJECT_ID])),
        (("NUMBER_UNCHECKED",), lambda waiting: waiting.subjects_changed([A_SUBJECT_ID])),
    ],
)
def test_each_is_decided_again_when_what_it_waits_for_has_changed(reasons, change) -> None:  # type: ignore[no-untyped-def]
    waiting = a_watched_partition()
    waiting.add(a_hold(1, reasons=reasons))
    waiting.add(a_hold(2, reasons=("OCCASION_MISSING",)))  # only a reviewer may release it
    waiting.campaigns_resumed({"autumn"}, lambda campaign: campaign == SPRING)
    waiting.subjects_changed([b"somebody else..."])
    assert not waiting.is_due(NOON)
    change(waiting)
    assert offsets(waiting.take(NOON, 9)) == [1]


def test_what_nobody_watched_is_looked_at_once() -> None:
    waiting = Waiting()
    for offset, reason in enumerate(("CAMPAIGN_PAUSED", "POLICY_ERROR", "SENDER_UNKNOWN")):
        waiting.add(a_hold(offset, reasons=(reason,)))
    waiting.anything_changed()
    assert offsets(waiting.take(NOON, 9)) == [1]
    waiting.campaigns_resumed((), all_paused)
    assert not waiting.is_due(NOON)
    waiting.campaigns_resumed({SPRING}, none_paused)
    assert offsets(waiting.take(NOON, 9)) == [0]


def test_what_is_restored_while_other_partitions_are_decided_is_looked_at_whole() -> None:
    waiting = Waiting()
    waiting.add(a_hold(1, reasons=("CAMPAIGN_PAUSED",)))
    waiting.campaigns_resumed((), none_paused)
    waiting.add(a_hold(2, reasons=("CAMPAIGN_PAUSED",)))
    waiting.anything_changed()
    waiting.campaigns_resumed((), none_paused)
    assert offsets(waiting.take(NOON, 9)) == [1, 2]


def test_holds_of_a_paused_user_are_looked_at_when_a_user_is_resumed_and_no_sooner() -> None:
    waiting = a_watched_partition()
    for offset, campaign_id in enumerate((SPRING, None, "autumn")):
        waiting.add(a_hold(offset, reasons=("CAMPAIGN_PAUSED",), campaign_id=campaign_id))

    def paused(campaign_id: str) -> bool:
        return campaign_id == "autumn"

    waiting.campaigns_resumed((), paused)
    waiting.campaigns_resumed({"summer"}, paused)
    assert not waiting.is_due(NOON)
    waiting.campaigns_resumed({uploader(A_SUBJECT_ID)}, paused)
    woken = waiting.take(NOON, 9)
    assert offsets(woken) == [0, 1], "autumn waits for its campaign as well"
    for held in woken:
        waiting.unchanged(held, NOON)  # it was another user
    waiting.campaigns_resumed((), paused)
    assert not waiting.is_due(NOON)
    waiting.campaigns_resumed({uploader(A_SUBJECT_ID)}, paused)
    assert offsets(waiting.take(NOON, 9)) == [0, 1]


def test_what_is_to_be_decided_soon_stands_in_the_row_once_however_often_it_was_told() -> None:
    waiting = Waiting()
    for offset in range(3):
        waiting.add(a_hold(offset, reasons=("CAMPAIGN_PAUSED", "POLICY_ERROR")))
    for _ in range(50):
        waiting.campaigns_resumed({SPRING}, none_paused)
        waiting.policy_changed()
    waiting.put_back(waiting.take(NOON, 2))
    assert sorted(waiting._soon) == [0, 1, 2]
    assert sorted(offsets(waiting.take(NOON, 9))) == [0, 1, 2]
    assert not waiting.is_due(NOON)


def test_what_was_settled_long_before_its_time_leaves_nothing_behind() -> None:
    waiting = Waiting()
    for offset in range(20_000):
        waiting.add(a_hold(offset, reasons=("POLICY_ERROR",)))
        if offset >= 100:
            waiting.remove(offset)
    assert len(waiting._due) < 2_000
    waiting.add(a_hold(5, hold_until=NOON + 1, attempt=1))
    assert offsets(waiting.take(NOON + HOUR, 9)) == [5]
    assert len(waiting.take(NOON + 2 * WEEK, 999)) == 99


def test_what_is_given_back_comes_again_and_what_is_settled_does_not() -> None:
    waiting = Waiting()
    waiting.add(a_hold(1, hold_until=NOON + 1))
    waiting.add(a_hold(2, hold_until=NOON + 1))
    taken = waiting.take(NOON + HOUR, 9)
    assert waiting.take(NOON + HOUR, 9) == []
    waiting.put_back(taken[:1])
    assert waiting.take(NOON + HOUR, 9) == taken[:1]
    assert len(waiting) == 0


def test_one_that_came_out_as_before_is_looked_at_later() -> None:
    waiting = Waiting()
    waiting.add(a_hold(1, hold_until=NOON + 1))
    (held,) = waiting.take(NOON + HOUR, 9)
    waiting.unchanged(held, NOON + HOUR)
    assert not waiting.is_due(NOON + HOUR)
    assert waiting.is_due(NOON + HOUR + UNCHANGED_MS)


def test_a_hold_that_is_held_anew_is_due_at_its_new_time_only() -> None:
    waiting = Waiting()
    waiting.add(a_hold(1, hold_until=NOON + 1))
    waiting.add(a_hold(1, hold_until=NOON + HOUR, attempt=1))
    assert waiting.take(NOON + 60_000, 9) == []
    (held,) = waiting.take(NOON + 2 * HOUR, 9)
    assert held.attempt == 1
