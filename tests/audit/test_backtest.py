"""Recorded requests against another policy: it flips what `policy diff` says, and nothing else."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from streams.audit.backtest import BacktestReport, Flip, backtest_topics
from streams.audit.backtest_report import Heading, html_report
from streams.audit.backtest_tables import as_json, tables
from streams.audit.seen import Why
from streams.cli.main import app
from streams.errors import PolicyInvalid
from streams.policy.analysis.diff import diff
from streams.policy.facts import Facts
from streams.policy.policy import load_policy
from streams.records.decisions import Outcome
from tests.audit.recorded_day import NO_SALES, RecordedDay

ALLOWED, QUARANTINED, DROPPED = Outcome.ALLOWED, Outcome.QUARANTINED, Outcome.DROPPED


def backtested(day: RecordedDay, policy: Path, jobs: int = 1) -> BacktestReport:
    return backtest_topics(day.bed.settings, policy, [0, 1], 0, None, jobs)


def changed(day: RecordedDay, folder: Path, file: str, old: str, new: str) -> Path:
    """Copy the policy that the day ended with, and change it."""
    shutil.copytree(day.bed.settings.policy_dir, folder)
    text = (folder / file).read_text("utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new), "utf-8")
    return folder


@pytest.mark.kafka
def test_the_same_policy_flips_only_what_was_decided_before_it(
    recorded_day: RecordedDay,
) -> None:
    day = recorded_day
    report = backtested(day, day.bed.settings.policy_dir, jobs=2)

    again = [each for each in day.bed.decisions() if each.attempt > 0 and each.facts]
    assert report.tried - report.again == day.requests
    assert report.again == len(again) > 0
    assert report.settled_before == 0
    assert report.untried.keys() <= {Why.UNREAD.value}
    assert report.flipped + report.same == report.tried
    first = [each for each in day.bed.decisions() if each.request_id.startswith("first-")]
    allowed = [
        each
        for each in first
        if each.verdict is ALLOWED
        and each.purpose == "marketing"
        and each.facts["campaign"] == "ACTIVE"
    ]
    assert {(flip.before, flip.after, flip.new_rules) for flip in report.flips} == {
        (ALLOWED, DROPPED, ("no-spring",))
    }
    # The repetition of one in the second round was dropped as such.
    assert report.flipped == len(allowed) > 0


@pytest.mark.kafka
def test_a_rule_less_flips_exactly_what_the_diff_of_the_policies_says(
    recorded_day: RecordedDay, tmp_path: Path
) -> None:
    day = recorded_day
    before = load_policy(day.bed.settings.policy_dir)
    folder = changed(day, tmp_path / "less", "content.yaml", NO_SALES, "")
    after = load_policy(folder)

    report = backtested(day, folder)

    expected = 0
    for decision in day.bed.decisions():
        facts = Facts.from_map(decision.facts)
        if facts is None:  # dropped unread
            continue
        was = before.verdict(facts, decision.decided_at)
        is_ = after.verdict(facts, decision.decided_at)
        if decision.policy_version == before.version and type(was) is not type(is_):
            expected += 1
    assert report.flipped == expected > 0
    (stage,) = diff(before, after).stages
    possible = {(flip.before.value, flip.after.value) for flip in stage.flips}
    seen = {(flip.before.value, flip.after.value) for flip in report.flips}
    assert seen <= possible
    assert {rule for flip in report.flips for rule in flip.old_rules} == {"no-spring"}
    assert {flip.campaign for flip in report.flips} <= {"spring", "autumn"}


@pytest.mark.kafka
def test_facts_that_registers_and_caps_change_are_read_anew(
    recorded_day: RecordedDay, tmp_path: Path
) -> None:
    day = recorded_day
    folder = changed(
        day,
        tmp_path / "capped",
        "policy.yaml",
        "  - {purposes: [marketing], most: 100, window: 1d}",
        "  - {purposes: [marketing], most: 1, window: 1d}",
    )
    rules = folder / "content.yaml"
    rules.write_text(rules.read_text("utf-8").replace(NO_SALES, ""), "utf-8")

    report = backtested(day, folder)

    capped = sum(
        count
        for flip, count in report.flips.items()
        if flip[:2] == (ALLOWED, QUARANTINED) and flip.new_rules == ("got-enough",)
    )
    assert capped > 0
    assert {each.facts.get("frequency") for each in day.bed.decisions()} <= {"WITHIN", None}


@pytest.mark.kafka
def test_the_command_prints_tables_json_and_a_report(
    recorded_day: RecordedDay, tmp_path: Path
) -> None:
    day = recorded_day
    folder = changed(day, tmp_path / "less", "content.yaml", NO_SALES, "")
    config = tmp_path / "consent-gate.yaml"
    config.write_text(day.config(), "utf-8")
    html = tmp_path / "report.html"
    args = ["--config", str(config), "backtest", "--policy", str(folder), "--since", "1h"]
    args += ["--jobs", "1"]

    table = CliRunner().invoke(app, [*args, "--html", str(html)])
    assert table.exit_code == 0, table.output
    assert "old: no-spring" in table.output
    found = json.loads(CliRunner().invoke(app, [*args, "--json"]).stdout)
    assert found["flipped"] == sum(each["count"] for each in found["by_verdict"]) > 0
    assert {each["name"] for each in found["by_campaign"]} <= {"spring", "autumn"}
    assert found["by_jurisdiction"]
    assert found["flips"][0]["example"].startswith("sms.requested-")
    shown = html.read_text("utf-8")
    assert "no-spring" in shown
    # I7: nobody's number stands in any of it.
    assert "+1202" not in table.output + json.dumps(found) + shown


@pytest.mark.kafka
def test_a_policy_that_needs_other_facts_is_refused_before_anything_is_read(
    recorded_day: RecordedDay, tmp_path: Path
) -> None:
    folder = changed(
        recorded_day,
        tmp_path / "later",
        "policy.yaml",
        "purposes:\n",
        "vocabulary: 99\npurposes:\n",
    )
    with pytest.raises(PolicyInvalid, match="there is no vocabulary 99 here"):
        backtested(recorded_day, folder)


# ------------------------------------------------------------------------------------ the report


def a_report() -> BacktestReport:
    report = BacktestReport(tried=100, same=60)
    for count, flip in (
        (30, Flip(ALLOWED, DROPPED, '<script>alert("x")</script>', "EU", ("yes",), ("a", "b"))),
        (10, Flip(DROPPED, ALLOWED, "spring & autumn", "CN", ("a",), ("yes",))),
    ):
        report.flips[flip] = count
        report.examples[flip] = "sms.requested-0-1-0"
    report.untried["gone"] = 3
    return report


def test_a_flip_counts_for_each_rule_and_once_for_all_else() -> None:
    by = {table.key: table for table in tables(a_report())}

    assert [row.count for row in by["by_verdict"].rows] == [30, 10]
    assert [row.count for row in by["by_campaign"].rows] == [30, 10]
    assert [(row.name, row.count) for row in by["by_rule"].rows] == [
        ("new: a", 30),
        ("new: b", 30),
        ("old: yes", 30),
        ("new: yes", 10),
        ("old: a", 10),
    ]
    assert as_json(a_report())["flipped"] == 40


class Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_report_runs_and_fetches_nothing_and_escapes_everything() -> None:
    page = html_report(a_report(), Heading('<b>"mine"', "abc", "from then on"))

    found = Tags(page)
    assert not found.tags & {"script", "link", "img", "iframe", "object", "b"}
    assert not found.attributes & {"src", "href", "onload", "onclick", "xlink:href"}
    assert "url(" not in page
    assert "http:" not in page
    assert "https:" not in page
    for drawing in page.split("<svg")[1:]:
        ElementTree.fromstring("<svg" + drawing.partition("</svg>")[0] + "</svg>")
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_a_bar_is_as_long_as_its_share_of_the_longest() -> None:
    page = html_report(a_report(), Heading("mine", "abc", "from then on"))

    drawing = ElementTree.fromstring(
        "<svg viewBox" + page.split("<svg viewBox")[1].partition("</svg>")[0] + "</svg>"
    )
    bars = [(each.get("class"), each.get("width")) for each in drawing.iter("rect")]
    assert bars == [("DROPPED", "300"), ("ALLOWED", "100")]


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (BacktestReport(), "Nothing was tried"),
        (BacktestReport(tried=5, same=5), "No verdict would have been another one."),
    ],
)
def test_a_report_of_nothing_says_so(report: BacktestReport, said: str) -> None:
    page = html_report(report, Heading("mine", "abc", "from then on"))
    assert said in page
    assert "<svg" not in page
    assert "<table" not in page
