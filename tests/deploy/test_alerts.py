"""The alerts and the scrape configuration, as promtool and the catalogue of metrics see them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.programs import ROOT, need, run
from tests.deploy.promql import mistakes

PROMETHEUS = ROOT / "deploy" / "prometheus"
CASES = sorted((ROOT / "tests" / "deploy").glob("alert_cases*.yml"))
GROUPS: list[dict[str, Any]] = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDED = frozenset(rule["record"] for rule in RULES if "record" in rule)
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()


@pytest.fixture
def promtool() -> str:
    return need("promtool", "Debian: apt install prometheus")


def test_promtool_takes_the_configuration_and_the_rules(promtool: str) -> None:
    checked = run(promtool, "check", "config", PROMETHEUS / "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    checked = run(promtool, "check", "rules", PROMETHEUS / "alerts.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_every_alert_fires_when_it_must_and_not_when_it_must_not(
    promtool: str, cases: Path
) -> None:
    tested = run(promtool, "test", "rules", cases)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    fires: set[str] = set()
    silent: set[str] = set()
    for case in (case for path in CASES for case in yaml.safe_load(path.read_text())["tests"]):
        for asked in case["promql_expr_test"]:
            [alert] = re.findall(r'alertname="(\w+)"', asked["expr"])
            assert case["name"].startswith(alert), case["name"]
            (fires if asked["exp_samples"] else silent).add(alert)
    alerts = {alert["alert"] for alert in ALERTS}
    assert fires == alerts
    assert silent == alerts


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_how_urgent_it_is_what_it_means_and_where_the_runbook_is(
    alert: dict[str, Any],
) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    page, anchor = alert["annotations"]["runbook_url"].split("#")
    assert page == "docs/runbook.md"
    assert anchor == alert["alert"].lower()
    assert f"\n### {alert['alert']}\n" in RUNBOOK


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_only_for_what_a_gate_shows(rule: dict[str, Any]) -> None:
    assert not list(mistakes(rule["expr"], RECORDED))
