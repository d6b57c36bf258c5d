"""The reference pages in `docs/` say what the code says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from streams.cli.reference import configuration_page, topics_page
from streams.config import FIXED_KAFKA, Settings
from streams.topology import TOPICS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("name", "page"), [("topics.md", topics_page), ("configuration.md", configuration_page)]
)
def test_the_page_is_up_to_date(name: str, page: Callable[[], str]) -> None:
    told = "run `python -m streams.cli.reference`"
    assert (DOCS / name).read_text(encoding="utf-8") == page(), told


def test_every_topic_and_every_setting_is_there() -> None:
    for topic in TOPICS:
        assert f"| `{topic.name}` |" in topics_page()
    for name in (*Settings.model_fields, *FIXED_KAFKA):
        assert f"| `{name}` |" in configuration_page()
