"""The runbook: a section an alert, in one shape, with commands that exist."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.deploy.commands import unknown
from tests.deploy.test_alerts import ALERTS, RUNBOOK


def commands() -> list[str]:
    """Return every consent-gate command line that the runbook shows."""
    text = re.sub(r"\\\n\s*", "", RUNBOOK)
    shown = re.findall(r"`(consent-gate [^`]+)`", text)
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    shown += [
        line.split("#")[0].strip()
        for block in blocks
        for line in block.splitlines()
        if line.startswith("consent-gate ")
    ]
    return sorted(set(shown))


@pytest.mark.parametrize("alert", [alert["alert"] for alert in ALERTS])
def test_a_section_says_what_it_means_what_to_do_first_and_what_not(alert: str) -> None:
    section = RUNBOOK.split(f"\n### {alert}\n")[1].split("\n#")[0]
    for part in ("**Means.**", "**First.**", "**Do not.**"):
        assert part in section, f"{alert} has no {part}"


def test_no_section_is_left_over_from_an_alert_that_is_gone() -> None:
    sections = set(re.findall(r"^### (ConsentGate\w+)$", RUNBOOK, re.MULTILINE))
    assert sections == {alert["alert"] for alert in ALERTS}


def test_every_place_that_it_points_to_within_itself_is_there() -> None:
    headings = re.findall(r"^#+ (.+)$", RUNBOOK, re.MULTILINE)
    places = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    pointed_to = set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK))
    assert pointed_to
    assert not pointed_to - places


@pytest.mark.parametrize("line", commands())
def test_a_command_in_the_runbook_exists_with_its_options(line: str) -> None:
    assert not unknown(shlex.split(line)[1:])
