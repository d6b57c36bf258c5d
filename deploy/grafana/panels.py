"""How the panels of the dashboards look: one function a kind. What they ask is in generate.py."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    DataSourceRef,
    GraphDrawStyle,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
"""The data source that the variable at the top of the dashboard chooses."""

GREEN, YELLOW, RED, BLUE, GREY = "green", "yellow", "red", "blue", "text"

ANY_IS_BAD = [(None, GREEN), (1, RED)]

Panel = stat.Panel | table.Panel | timeseries.Panel

_STAT_HEIGHT = 4
_HEIGHT = 8


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel, and what its series are called: text with ``{{label}}`` in it."""

    expr: str
    legend: str = ""


def value(
    title: str,
    help: str,
    query: str,
    *,
    width: int,
    steps: Sequence[tuple[float | None, str]],
    unit: str = "short",
    empty: str = "no data",
) -> stat.Panel:
    """
    One number on a coloured ground.

    ``steps`` are lower bounds and the colours from there on, the first with None. ``empty`` stands
    where the query finds nothing.
    """
    return (
        stat.Panel()
        .title(title)
        .description(help)
        .datasource(SOURCE)
        .height(_STAT_HEIGHT)
        .span(width)
        .unit(unit)
        .no_value(empty)
        .thresholds(_thresholds(steps))
        .color_mode(BigValueColorMode.BACKGROUND)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(prometheus.Dataquery().datasource(SOURCE).expr(query).instant().ref_id("A"))
    )


def lines(
    title: str,
    help: str,
    *queries: Query,
    width: int = 8,
    unit: str = "short",
    stacked: bool = False,
    highest: float | None = None,
    bound: float | None = None,
    colours: Mapping[str, str] | None = None,
) -> timeseries.Panel:
    """
    Series over time, from 0.

    ``highest`` fixes the top of the axis. ``bound`` draws a red line where an alert fires.
    ``colours`` gives single series, by their legend, a colour that means something.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(help)
        .datasource(SOURCE)
        .height(_HEIGHT)
        .span(width)
        .unit(unit)
        .min(0)
        .line_width(1)
        .fill_opacity(40 if stacked else 5)
        .draw_style(GraphDrawStyle.LINE)
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    if highest is not None:
        panel.max(highest)
    if bound is not None:
        panel.thresholds(_thresholds([(None, "transparent"), (bound, RED)]))
        panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
        )
    for series, colour in (colours or {}).items():
        fixed = {"mode": "fixed", "fixedColor": colour}
        panel.override_by_name(series, [DynamicConfigValue("color", fixed)])
    for number, query in enumerate(queries):
        panel.with_target(
            prometheus.Dataquery()
            .datasource(SOURCE)
            .expr(query.expr)
            .legend_format(query.legend)
            .range()
            .ref_id(chr(ord("A") + number))
        )
    return panel


def rows(
    title: str,
    help: str,
    query: str,
    *,
    columns: Mapping[str, str],
    unit: str,
    width: int = 8,
) -> table.Panel:
    """
    A table of the series as they are now.

    ``columns`` maps the labels that are shown, and ``Value``, to their headings, in their order.
    """
    arranged = {
        "excludeByName": {"Time": True, "__name__": True, "job": True},
        "indexByName": {name: number for number, name in enumerate(columns)},
        "renameByName": dict(columns),
    }
    return (
        table.Panel()
        .title(title)
        .description(help)
        .datasource(SOURCE)
        .height(_HEIGHT)
        .span(width)
        .override_by_name(columns["Value"], [DynamicConfigValue("unit", unit)])
        .with_transformation(DataTransformerConfig(id_val="organize", options=arranged))
        .with_target(
            prometheus.Dataquery()
            .datasource(SOURCE)
            .expr(query)
            .format(PromQueryFormat.TABLE)
            .instant()
            .ref_id("A")
        )
    )


def board_of(
    title: str,
    uid: str,
    about: str,
    *,
    choice: tuple[str, str, str],
    rows: Mapping[str, Iterable[Panel]],
) -> dashboard.Dashboard:
    """
    A dashboard of rows of panels.

    ``choice`` is the variable at its top by which instances are chosen: its name, its label, and
    the job whose instances they are.
    """
    name, label, job = choice
    board = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(about)
        .tags(["consent-gate"])
        .readonly()
        .refresh("10s")
        .time("now-1h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
        )
        .with_variable(
            dashboard.QueryVariable(name)
            .label(label)
            .datasource(SOURCE)
            .query(f'label_values(up{{job="{job}"}}, instance)')
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            .all_value(".*")
            .current(VariableOption(selected=True, text="All", value="$__all"))
        )
    )
    number = 0
    for heading, panels in rows.items():
        number += 1
        board.with_row(dashboard.Row(heading).id(number))
        for panel in panels:
            number += 1
            board.with_panel(panel.id(number))
    return board


def as_json(board: dashboard.Dashboard) -> str:
    """Return a dashboard as the text of its file."""
    return json.dumps(board.build(), cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"


def _thresholds(steps: Sequence[tuple[float | None, str]]) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value=bound, color=colour) for bound, colour in steps])
    )
