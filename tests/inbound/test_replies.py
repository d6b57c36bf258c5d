"""The table of replies: what each of them means, and where the case comes from."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from streams.inbound import Meaning, classify

TABLE = Path(__file__).with_name("replies.csv")


def replies() -> list[dict[str, str]]:
    """Read the table: body, country (may be empty), language, expected, why."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "reply", replies(), ids=lambda reply: f"{reply['language']}-{reply['body'][:20]}"
)
def test_a_reply_means_what_the_table_says(reply: dict[str, str]) -> None:
    reading = classify(reply["body"], reply["country"] or None)

    assert reading.meaning is Meaning(reply["expected"]), f"{reply['why']}: {reading.explanation}"


def test_the_table_is_large_and_half_of_it_is_no_stop() -> None:
    expected = Counter(reply["expected"] for reply in replies())
    languages = Counter(reply["language"] for reply in replies())

    assert expected.total() >= 700
    assert expected["STOP"] <= expected.total() / 2
    assert len(languages) == 14
    assert min(languages.values()) >= 30
