"""Reads the selectors out of PromQL, as far as the dashboard and the alerts go."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from streams.telemetry.metrics import METRICS
from streams.telemetry.series import Instrument, Kind

_SELECTOR = re.compile(r"\b(consent_gate[a-z_0-9:]*|up)\b(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_BY = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")

FROM_PROMETHEUS = frozenset({"job", "instance"})
"""Labels that Prometheus adds to every series that it scrapes."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric and its matchers: label, operator, value."""

    text: str
    metric: str
    matchers: tuple[tuple[str, str, str], ...]


def selectors(expr: str) -> list[Selector]:
    """Return every selector of an expression, without range and offset."""
    return [
        Selector(found[0], found[1], tuple(_MATCHER.findall(found[2] or "")))
        for found in _SELECTOR.finditer(expr)
    ]


def instrument(metric: str) -> Instrument | None:
    """Return the catalogue's metric that a series of this name belongs to."""
    by_name = {each.name: each for each in METRICS}
    base = re.sub(r"_(bucket|sum|count)$", "", metric)
    found = by_name.get(base)
    if found is not None and base != metric and found.kind is not Kind.HISTOGRAM:
        return None
    if found is not None and base == metric and found.kind is Kind.HISTOGRAM:
        return None
    return found


def mistakes(expr: str, recorded: frozenset[str]) -> Iterator[str]:
    """Say what in an expression no gate and no recording rule has: metrics, labels, values."""
    labels = {"le", *FROM_PROMETHEUS}
    for selector in selectors(expr):
        if selector.metric == "up" or selector.metric in recorded:
            labels.add("purpose")
            continue
        found = instrument(selector.metric)
        if found is None:
            yield f"{selector.metric} is no metric of the catalogue"
            continue
        known = {label.name: label for label in found.labels}
        labels |= known.keys()
        for name, operator, written in selector.matchers:
            if name in FROM_PROMETHEUS:
                continue
            if name not in known:
                yield f"{selector.metric} has no label {name}"
                continue
            for value in written.split("|") if "~" in operator else [written]:
                if known[name].values and value not in known[name].values:
                    yield f"{selector.metric}: {name} is never {value!r}"
    for group in _BY.findall(expr):
        for name in re.findall(r"\w+", group):
            if name not in labels:
                yield f"nothing in {expr!r} has a label {name}"
