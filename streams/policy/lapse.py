"""
Consents that end by themselves: how long one counts that nobody declared.

A law may let a consent be implied for a time only: Canada's for two years from a purchase (CASL
10(10)). A policy says so (``lapse`` in ``policy.yaml``) for consents without an end of their own,
or with a later one. An EXPRESS consent lasts until it is withdrawn, or to its own ``expires_at``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from streams.policy.documents import Document
from streams.policy.vocabulary import Jurisdiction
from streams.records.events import Basis

Lapse = Mapping[Basis, int]
"""How many milliseconds a consent of a basis counts; one that is not named does not lapse."""

Lapses = Mapping[Jurisdiction, Lapse]
"""What lapses under each law. One without an entry lets nothing lapse."""

_MAY_LAPSE = {basis.value: basis for basis in Basis if basis is not Basis.EXPRESS}
_DAYS = re.compile(r"([1-9][0-9]{0,3})d")
_DAY_MS = 86_400_000


def read_lapse(document: Document, node: yaml.Node) -> dict[Basis, int]:
    """Read the mapping. An entry with a mistake is left out, and the mistake recorded."""
    lapse: dict[Basis, int] = {}
    for basis, value in document.mapping(node, "lapse", (), tuple(_MAY_LAPSE)).items():
        text = document.text(value, f"the lapse of {basis}")
        if text is None:
            continue
        written = _DAYS.fullmatch(text.value)
        if written is None:
            document.wrong(text, f"{text.value!r} is no number of days", "write 730d: up to 9999d")
        else:
            lapse[_MAY_LAPSE[basis]] = int(written[1]) * _DAY_MS
    return lapse


def sooner(one: Lapse, other: Lapse) -> Lapse:
    """Join what two policies let lapse: the sooner of both."""
    return {
        basis: min(each[basis] for each in (one, other) if basis in each)
        for basis in (*one, *(basis for basis in other if basis not in one))
    }
