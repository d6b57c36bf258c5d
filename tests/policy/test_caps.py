"""Caps: how many messages of which kind a person may get within which window."""

from __future__ import annotations

import pytest

from streams.errors import PolicyInvalid
from streams.policy.caps import REPEATED_WITHIN_MS, UNCAPPED, Cap, Caps, Send, kind_of
from streams.policy.policy import Policy, load_policy_files
from tests.policy.messages import plain_policy

HOUR = 3_600_000
DAY = 24 * HOUR
NOW = 1_800_000_000_000

SPRING = kind_of("marketing", "shop", "spring", None)


def cap(most: int = 2, window_ms: int = DAY, per: tuple[str, ...] = (), *purposes: str) -> Cap:
    return Cap(frozenset(purposes or ("marketing",)), per, most, window_ms)


def sent(*hours_ago: float, kind: bytes = SPRING) -> list[Send]:
    return [Send(int(NOW - hours * HOUR), kind, False) for hours in hours_ago]


def test_what_is_more_than_the_cap_waits_until_the_first_leaves_the_window() -> None:
    caps = Caps([cap()])
    assert caps.slot_at(SPRING, sent(5), NOW) is None
    assert caps.slot_at(SPRING, sent(5, 1), NOW) == NOW - 5 * HOUR + DAY


def test_what_left_the_window_does_not_count_and_the_window_is_half_open() -> None:
    caps = Caps([cap()])
    assert caps.slot_at(SPRING, sent(30, 24, 1), NOW) is None
    assert caps.slot_at(SPRING, sent(30, 23.999, 1), NOW) is not None


def test_messages_that_wait_get_successive_slots_but_take_none_from_who_may_go_now() -> None:
    caps = Caps([cap()])
    first, second = sent(5, 1)
    slot = caps.slot_at(SPRING, [first, second], NOW)
    assert slot == first.at + DAY
    waiting = Send(slot, SPRING, True)
    assert caps.slot_at(SPRING, [first, second, waiting], NOW) == second.at + DAY
    # A slot is free now: what waits does not count as sent.
    assert caps.slot_at(SPRING, [second, waiting], NOW) is None


@pytest.mark.parametrize(
    ("per", "other", "counts"),
    [
        ((), kind_of("marketing", "bank", "autumn", "t"), True),
        ((), kind_of("otp", "shop", "spring", None), False),
        (("campaign",), kind_of("marketing", "bank", "spring", "t"), True),
        (("campaign",), kind_of("marketing", "shop", "autumn", None), False),
        (("campaign",), kind_of("marketing", "shop", None, None), False),
        (("sender",), kind_of("marketing", "bank", "spring", None), False),
        (("sender", "campaign"), kind_of("marketing", "shop", "spring", "t"), True),
    ],
)
def test_what_is_counted_together(per: tuple[str, ...], other: bytes, counts: bool) -> None:
    caps = Caps([cap(1, DAY, per)])
    assert (caps.slot_at(SPRING, sent(1, kind=other), NOW) is not None) is counts


def test_a_cap_for_each_template_leaves_out_messages_without_one() -> None:
    caps = Caps([cap(1, DAY, ("template",))])
    assert caps.fewest(SPRING) == UNCAPPED
    assert caps.slot_at(SPRING, sent(1), NOW) is None
    assert caps.fewest(kind_of("marketing", "shop", None, "t")) == 1


def test_of_several_caps_the_latest_slot_counts() -> None:
    caps = Caps([cap(1, DAY), cap(2, 7 * DAY)])
    assert caps.slot_at(SPRING, sent(48, 1), NOW) == NOW - 48 * HOUR + 7 * DAY


def test_how_far_back_anything_matters() -> None:
    assert Caps().horizon_ms == REPEATED_WITHIN_MS
    assert Caps([cap(1, HOUR), cap(1, 7 * DAY)]).horizon_ms == 7 * DAY


def test_an_absent_name_is_none_that_a_message_can_have() -> None:
    assert kind_of("p", "s", "", None)[8:12] != kind_of("p", "s", None, None)[8:12]


GOOD = "{purposes: [marketing], per: [campaign], most: 3, window: 24h}"


def caps_of(text: str) -> Policy:
    files = dict(plain_policy().files)
    before, _, rest = files["policy.yaml"].partition("caps:\n")
    _, _, rules = rest.partition("\nrules:")
    files["policy.yaml"] = f"{before}caps:\n  - {text}\n\nrules:{rules}"
    return load_policy_files(files, "policy")


def test_a_policy_declares_its_caps() -> None:
    policy = caps_of(GOOD)
    assert policy.caps.fewest(SPRING) == 3
    assert policy.caps.slot_at(SPRING, sent(1, 2, 3), NOW) == NOW + 21 * HOUR
    assert policy.version != plain_policy().version


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        ("[marketing]", "[markting]", "there is no purpose markting"),
        ("[campaign]", "[colour]", "a cap knows no colour"),
        ("most: 3", "most: 0", "most cannot be 0"),
        ("most: 3", "most: 101", "write a number from 1 to 100"),
        ("most: 3", "most: few", "most"),
        ("24h", "a day", "write 30m, 24h or 7d"),
        ("24h", "32d", "write at most 31d"),
        (", window: 24h", "", "a cap lacks window"),
        ("most", "mots", "a cap has no mots"),
    ],
)
def test_a_mistake_in_a_cap_is_named_with_its_place(good: str, bad: str, told: str) -> None:
    with pytest.raises(PolicyInvalid) as raised:
        caps_of(GOOD.replace(good, bad))
    assert told in str(raised.value)
    assert "policy/policy.yaml:" in str(raised.value)
