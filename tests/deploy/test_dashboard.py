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
OVERVIEW, WORKER = (
    json.loads((GRAFANA / "dashboards" / f"{name}.json").read_text())
    for name in ("overview", "worker")
)


def panels_of(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels of a dashboard, without its rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


PANELS, WORKER_PANELS = panels_of(OVERVIEW), panels_of(WORKER)

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


@pytest.mark.parametrize("panel", [*PANELS, *WORKER_PANELS], ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_and_asks_only_for_what_a_gate_shows(
    panel: dict[str, Any],
) -> None:
    assert panel["description"].endswith(".")
    assert expressions(panel)
    for expr in expressions(panel):
        assert not list(mistakes(expr, RECORDED))


def test_every_metric_is_on_one_of_them() -> None:
    def shown(panels: list[dict[str, Any]]) -> set[Instrument | None]:
        return {
            instrument(selector.metric)
            for panel in panels
            for expr in expressions(panel)
            for selector in selectors(expr)
        }

    of_a_worker = {each for each in METRICS if each.name.startswith("consent_gate_worker_")}
    assert not of_a_worker - shown(WORKER_PANELS)
    assert set(METRICS) - of_a_worker - shown(PANELS) == set(NOT_SHOWN)


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


@pytest.mark.parametrize(
    ("panels", "job", "chosen"),
    [(PANELS, "consent-gate", "$gate"), (WORKER_PANELS, "consent-gate-worker", "$worker")],
    ids=["overview", "worker"],
)
def test_every_selector_follows_the_choice_at_the_top(
    panels: list[dict[str, Any]], job: str, chosen: str
) -> None:
    for panel in panels:
        for selector in (s for expr in expressions(panel) for s in selectors(expr)):
            if selector.metric not in RECORDED:
                # Both: a worker shows the names of a gate's metrics too, such as its conditions.
                assert ("job", "=", job) in selector.matchers, panel["title"]
                assert ("instance", "=~", chosen) in selector.matchers, panel["title"]


@pytest.mark.parametrize("dashboard", [OVERVIEW, WORKER], ids=["overview", "worker"])
def test_panels_have_ids_of_their_own_and_do_not_lie_on_each_other(
    dashboard: dict[str, Any],
) -> None:
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    cells: Counter[tuple[int, int]] = Counter()
    for panel in dashboard["panels"]:
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
