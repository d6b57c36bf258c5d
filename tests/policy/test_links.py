# ruff: noqa: E501 - a row of these tables is a line
"""Where a text leads to, whatever it is dressed as, in linear time on any text."""

from __future__ import annotations

from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.policy.links import LinkClass, LinkRegister, Place, places_in, registered_place, worst


def register() -> LinkRegister:
    entries = {
        "shop.example": LinkClass.OWN,
        "shop.example/join": LinkClass.REGISTRATION,
        "例子.中国": LinkClass.OWN,
        "play.google.com": LinkClass.STORE,
        "t.cn": LinkClass.SHORT,
    }
    known = {}
    for written, link_class in entries.items():
        place = registered_place(written)
        assert place is not None
        known[place] = link_class
    return LinkRegister(known)


LEADS = [
    ("visit t.cn/abc now", "t.cn/abc"),
    ("点击t.cn/abc查看详情", "t.cn/abc"),
    ("点击https://t.cn查看", "t.cn"),
    ("https://shop.example@evil.example/x", "evil.example/x"),
    ("https://shop.example:443@evil.example:8443/x", "evil.example/x"),
    (r"https://evil.example\@shop.example", "evil.example/@shop.example"),
    ("https://evil.example/?to=shop.example", "evil.example/"),
    ("HTTPS://Evil.Example.", "evil.example"),
    ("ｅｖｉｌ．ｃｏｍ", "evil.com"),
    ("t。cn/x", "t.cn/x"),
    ("t｡cn/x", "t.cn/x"),
    ("t.\u200bcn", "t.cn"),
    ("e\u00advil.com", "evil.com"),
    ("访问 例子。中国 吧", "例子.中国"),
    ("https://xn--fsqu00a.xn--fiqs8s/a", "例子.中国/a"),
    ("https://еxample.com", "еxample.com"),
    ("http://3232235777/x", "3232235777/x"),
    ("go to 10.20.30.40 now", "10.20.30.40"),
    ("//evil.com/x", "evil.com/x"),
    ("https:evil.com", "evil.com"),
    ("see...t.cn", "t.cn"),
    ("shop.example/a/../join", "shop.example/join"),
    ("shop.example/%6Aoin?x=evil.com", "shop.example/join"),
    ("app://open", "open"),
    ("shop.example//join", "shop.example/join"),
    ("shop.example/%2e/join/", "shop.example/join"),
    ("https://shop.example/#/join", "shop.example/"),
]


@pytest.mark.parametrize(("body", "leads"), LEADS)
def test_a_place_is_found_however_it_is_written(body: str, leads: str) -> None:
    assert [place.host + place.path for place in places_in(body)] == [leads]


@pytest.mark.parametrize(
    "body",
    [
        "Come and see. Now.",
        "5.99 today, 24.12.2026, at 10:30.",
        "write to help@shop.example",
        "我们在等您。中国移动提醒您。",
        "and/or: yes",
        "version 1.2.3",
        "e.g. this, i.e. that",
    ],
)
def test_what_leads_nowhere_is_no_link(body: str) -> None:
    assert list(places_in(body)) == []


@pytest.mark.parametrize(
    ("body", "classes", "worst_of_them"),
    [
        ("shop.example and www.shop.example/x", {LinkClass.OWN}, LinkClass.OWN),
        ("shop.example/join", {LinkClass.REGISTRATION}, None),
        ("shop.example/joining", {LinkClass.OWN}, LinkClass.OWN),
        ("my.shop.example/join/now", {LinkClass.REGISTRATION}, None),
        ("play.google.com/store", {LinkClass.STORE}, LinkClass.STORE),
        ("google.com", {LinkClass.FOREIGN}, LinkClass.FOREIGN),
        ("notshop.example", {LinkClass.FOREIGN}, LinkClass.FOREIGN),
        ("shop.example.evil.com", {LinkClass.FOREIGN}, LinkClass.FOREIGN),
        ("坏例子.中国", {LinkClass.FOREIGN}, LinkClass.FOREIGN),
        (
            "shop.example/join or t.cn/1",
            {LinkClass.REGISTRATION, LinkClass.SHORT},
            LinkClass.SHORT,
        ),
    ],
)
def test_a_place_has_the_class_of_the_nearest_entry(
    body: str, classes: set[LinkClass], worst_of_them: LinkClass | None
) -> None:
    assert register().classes(body) == classes
    assert worst(classes) is worst_of_them


@pytest.mark.parametrize(
    "written", ["shop", "https://shop.example", "a b.example", "shop.example/a b", ".example", ""]
)
def test_what_is_no_host_is_refused(written: str) -> None:
    assert registered_place(written) is None


def test_an_entry_is_read_in_any_spelling() -> None:
    assert registered_place("XN--FSQU00A.xn--fiqs8s/A/") == Place("例子.中国", "/a")


@given(st.text(alphabet="a.c:/\\@。中国 -xn%0?#１．", max_size=60))
def test_any_text_can_be_read(body: str) -> None:
    classes = register().classes(body)
    assert (not classes) == (not list(places_in(body)))


HOSTILE = ["a", "a.", "a.b/", "中", "://", "中国.", "a@", "http://a ", "。中国", "-.", "/a:", "a:/", ".中国", "a.中国.", ":\\", "xn--."]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_the_time_grows_as_the_text_does(unit: str) -> None:
    known = register()

    def cost(characters: int) -> float:
        body = unit * (characters // len(unit))
        took = []
        for _ in range(3):
            began = thread_time()
            known.classes(body)
            took.append(thread_time() - began)
        return min(took)

    assert cost(64_000) < 16 * cost(8_000) + 0.005, "eight times as much text"
