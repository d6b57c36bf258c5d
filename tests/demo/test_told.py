"""
Guarantee I7 on a whole run: no number, no name, no text in anything that gate and demo tell.

The gate runs in a process of its own and tells everything it can (log level debug). Searched are
all its output, ``/metrics``, ``/readyz``, what the demo prints, and every key and value of the
topics that are not made to carry messages.
"""

from __future__ import annotations

import io
import json
import time
import urllib.request
from dataclasses import dataclass

import pytest
from rich.console import Console

from streams.audit.explain import explain
from streams.codec.codec import open_codecs
from streams.config import LogLevel
from streams.demo.acts import Setting
from streams.demo.checks import Account, check
from streams.demo.day import Day, day_of
from streams.demo.performance import Performance, perform
from streams.demo.reading import OPAQUE, Written, read_written, starts
from streams.demo.report import Report, as_json, show
from streams.demo.stage import Stage, staged
from streams.records.requests import SmsRequested
from streams.sealing.keyring import open_subject_ids, open_verifier
from streams.topology import SMS_DECISIONS, SMS_QUARANTINED
from tests.conftest import need_embedded_kafka
from tests.demo.outcome import DEFAULT_VERSION

pytestmark = pytest.mark.kafka

RUN = 271_828


@dataclass
class Told:
    """All that was told in one run, by where."""

    day: Day
    by_place: dict[str, bytes]


@pytest.fixture(scope="module")
def told() -> Told:
    need_embedded_kafka()
    steps: list[str] = []
    with staged(steps.append, log_level=LogLevel.DEBUG) as stage:
        day, performance, written = _played(stage)
        by_place = {
            "metrics": _answer(f"{stage.gate_url}/metrics"),
            "readyz": _answer(f"{stage.gate_url}/readyz"),
            "livez": _answer(f"{stage.gate_url}/livez"),
            "the worker's metrics": _answer(f"{stage.worker_url}/metrics"),
            "what the gate said while it ran": stage.logs[0].read_bytes(),
            "what the worker said while it ran": stage.logs[1].read_bytes(),
            "what the demo printed": _printed(day, performance, written).encode(),
            "the steps": "\n".join(steps).encode(),
        }
    for topic in OPAQUE:
        parts = (part for at, part in written.opaque if at.topic == topic.name)
        by_place[topic.name] = b"\n".join(parts)
    return Told(day, by_place)


def test_what_is_searched_was_really_told(told: Told) -> None:
    assert b'"level": "debug"' in told.by_place["what the gate said while it ran"]
    assert b"dead_lettered" in told.by_place["what the gate said while it ran"]
    assert b"consent_gate_requests_total" in told.by_place["metrics"]
    assert b"holds" in told.by_place["what the demo printed"]
    assert len(told.by_place[SMS_DECISIONS.name]) > 50_000
    assert len(told.by_place[SMS_QUARANTINED.name]) > 5_000


def test_no_number_is_told(told: Told) -> None:
    numbers = {person.number for person in told.day.people.everybody()}
    numbers |= {request.recipient for request in _requests(told.day)}
    assert _found(told, {number.lstrip("+") for number in numbers}) == []


def test_no_name_is_told(told: Told) -> None:
    words = {word for person in told.day.people.everybody() for word in person.name.split()}
    assert len(words) > 30
    assert _found(told, words) == []


def test_no_text_is_told(told: Told) -> None:
    assert _found(told, {request.body for request in _requests(told.day)}) == []


def test_no_garbage_is_told(told: Told) -> None:
    garbage = {
        act.value
        for act in told.day.acts()
        if act.record is None and act.value is not None and len(act.value) >= 8
    }
    assert garbage
    found = [place for place, text in told.by_place.items() for value in garbage if value in text]
    assert found == []


def _played(stage: Stage) -> tuple[Day, Performance, Written]:
    settings, codecs = stage.settings, open_codecs()
    subject_ids = open_subject_ids(settings.secrets_dir)
    setting = Setting(RUN, int(time.time() * 1000), settings.partitions, codecs, subject_ids)
    day = day_of(setting, 400)
    since = starts(settings)
    performance = perform(settings, codecs, day, check=stage.check)
    verifier = open_verifier(settings.secrets_dir)
    return day, performance, read_written(settings, codecs, verifier, since, setting.now_ms)


def _printed(day: Day, performance: Performance, written: Written) -> str:
    account = Account(performance.played, written)
    [case] = [each for each in written.decisions if each.request_id == day.case_id]
    invariants = tuple(check(account, DEFAULT_VERSION))
    assert [each.name for each in invariants if not each.holds] == []
    report = Report(RUN, 0, account, performance.measured, explain(case, None, ()), invariants)
    text = io.StringIO()
    show(report, Console(file=text, width=100, markup=False, highlight=False))
    return text.getvalue() + json.dumps(as_json(report), ensure_ascii=False) + repr(performance)


def _requests(day: Day) -> list[SmsRequested]:
    return [act.record for act in day.acts() if isinstance(act.record, SmsRequested)]


def _found(told: Told, needles: set[str]) -> list[str]:
    """Where something of it is told; never what, so that a failing test tells nothing either."""
    encoded = [needle.encode() for needle in needles]
    return [place for place, text in told.by_place.items() if any(n in text for n in encoded)]


def _answer(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return bytes(answer.read())
