"""The dashboard: written by its code, asking for what gates show, readable from top to bottom."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections import Counter
from typing import Any

import pytest

from streams.telemetry import metrics
from streams.telemetry.metrics import METRICS
from streams.telemetry.series import Instrument
from tests.deploy.programs import ROOT, not_tested, run
from tests.deploy.promql import instrument, mistakes, selectors
from tests.deploy.test_alerts import RECORDED

GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "overview.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

NOT_SHOWN: dict[Instrument, str] = {
    metrics.RESTORE_RECORDS: "`consent-gate status` shows it; here it is the share done",
}


def expressions(panel: dict[str, Any]) -> list[str]:
    """Return the queries of one panel."""
    return [target["expr"] for target in panel["targets"]]


def test_the_dashboard_is_what_its_code_writes() -> None:
    if importlib.util.find_spec("grafana_foundation_sdk") is None:
        not_tested("grafana-foundation-sdk is not installed (the extra check: `make check`)")
    compared = run(sys.executable, GRAFANA / "generate.py", "--check")
    assert compared.returncode == 0, compared.stderr


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_and_asks_only_for_what_a_gate_shows(
    panel: dict[str, Any],
) -> None:
    assert panel["description"].endswith(".")
    assert expressions(panel)
    for expr in expressions(panel):
        assert not list(mistakes(expr, RECORDED))


def test_every_metric_of_a_gate_is_on_it() -> None:
    shown = {
        instrument(selector.metric)
        for panel in PANELS
        for expr in expressions(panel)
        for selector in selectors(expr)
    }
    of_a_gate = {each for each in METRICS if not each.name.startswith("consent_gate_worker_")}
    assert of_a_gate - shown == set(NOT_SHOWN)


def test_blocked_held_faulty_dead_and_lost_are_never_in_one_panel() -> None:
    seen: Counter[str] = Counter()
    for panel in PANELS:
        kinds = set()
        for selector in (s for expr in expressions(panel) for s in selectors(expr)):
            if selector.metric == metrics.REASONS.name:
                [kind] = [
                    value for label, op, value in selector.matchers if (label, op) == ("kind", "=")
                ]
                kinds.add(kind)
            elif selector.metric in (metrics.DEAD_LETTERS.name, metrics.LOST_RECORDS.name):
                kinds.add(selector.metric)
        assert len(kinds) <= 1, panel["title"]
        seen.update(kinds)
    assert seen.keys() == {
        *("block", "hold", "fault"),
        *(metrics.DEAD_LETTERS.name, metrics.LOST_RECORDS.name),
    }


def test_every_selector_of_a_gate_follows_the_choice_of_gates() -> None:
    for panel in PANELS:
        for selector in (s for expr in expressions(panel) for s in selectors(expr)):
            if selector.metric not in RECORDED:
                assert ("instance", "=~", "$gate") in selector.matchers, panel["title"]


def test_panels_have_ids_of_their_own_and_do_not_lie_on_each_other() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    cells: Counter[tuple[int, int]] = Counter()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells.update(
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        )
    assert max(cells.values()) == 1
    # No holes: every line of the grid is filled from side to side.
    assert len(cells) == 24 * len({y for _, y in cells})
