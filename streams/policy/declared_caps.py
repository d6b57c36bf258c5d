"""The ``caps`` of a ``policy.yaml``: from YAML to :class:`streams.policy.caps.Cap`."""

from __future__ import annotations

import re
from collections.abc import Collection

import yaml

from streams.policy.caps import FIELDS, LONGEST_WINDOW_MS, MOST, Cap
from streams.policy.documents import Document
from streams.policy.mistakes import nearest

_WINDOW = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


def read_caps(document: Document, node: yaml.Node, purposes: Collection[str]) -> list[Cap]:
    """Read the list. A cap with a mistake is left out, and the mistake recorded."""
    caps: dict[tuple[object, ...], Cap] = {}
    for item in document.items(node, "caps"):
        cap = _cap(document, item, purposes)
        if cap is None:
            continue
        same = (cap.purposes, frozenset(cap.per), cap.window_ms)
        if same in caps:
            document.wrong(
                item,
                "a cap above counts the same messages within the same window",
                "keep the stricter of them",
            )
        caps.setdefault(same, cap)
    return list(caps.values())


def _cap(document: Document, node: yaml.Node, declared: Collection[str]) -> Cap | None:
    before = document.mistakes
    entries = document.mapping(node, "a cap", ("purposes", "most", "window"), ("per",))
    if document.mistakes > before:
        return None
    purposes = document.texts(entries["purposes"], "purposes")
    for text in purposes:
        if text.value not in declared:
            remedy = nearest(text.value, declared) if declared else "declare it"
            document.wrong(text, f"there is no purpose {text.value}", remedy)
    per = document.texts(entries["per"], "per") if "per" in entries else []
    for text in per:
        if text.value not in FIELDS:
            document.wrong(text, f"a cap knows no {text.value}", nearest(text.value, FIELDS))
    most = document.integer(entries["most"], "most")
    if most is not None and not 1 <= most <= MOST:
        remedy = f"write a number from 1 to {MOST}"
        document.wrong(entries["most"], f"most cannot be {most}", remedy)
    window_ms = _window(document, entries["window"])
    if document.mistakes > before or most is None or window_ms is None:
        return None
    return Cap(
        frozenset(text.value for text in purposes),
        tuple(text.value for text in per),
        most,
        window_ms,
    )


def _window(document: Document, node: yaml.Node) -> int | None:
    """Read a length of time: ``30m``, ``24h``, ``7d``."""
    text = document.text(node, "window")
    if text is None:
        return None
    written = _WINDOW.fullmatch(text.value)
    if written is None:
        document.wrong(text, f"{text.value!r} is no length of time", "write 30m, 24h or 7d")
        return None
    window_ms = int(written[1]) * _UNITS_MS[written[2]]
    if window_ms > LONGEST_WINDOW_MS:
        document.wrong(
            text,
            f"the window {text.value} is longer than sends are remembered",
            f"write at most {LONGEST_WINDOW_MS // _UNITS_MS['d']}d",
        )
        return None
    return window_ms
