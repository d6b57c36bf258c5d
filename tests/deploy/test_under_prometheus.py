"""
A real gate decides the demo's day under a real Prometheus; every panel and every rule is asked.

It is the compose stack without containers. What finds nothing must be listed here, with the reason.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.broker.ports import free_ports
from streams.testing.records import an_sms_requested
from tests.deploy.programs import need
from tests.deploy.promql import selectors
from tests.deploy.test_alerts import ALERTS, RULES
from tests.deploy.test_dashboard import OVERVIEW, PANELS, WORKER_PANELS, expressions
from tests.deploy.watched import Prometheus, a_prometheus, play_a_day, processes
from tests.gate.bed import Bed, wait_for

pytestmark = pytest.mark.kafka

REQUESTS = 1_000
"""In the demo's day: of some purpose more than the 200 below which no share is recorded."""

SILENT_PANELS = {
    "Allowed: off yesterday by": "there is no yesterday",
    "Errors of Kafka clients": "a code's series begins with its first error, and there was none",
}

SILENT_PANELS |= dict.fromkeys(
    (
        "Allowed now, not by the candidate",
        "Allowed by the candidate, not now",
        "Candidate by gate",
        "Rules only observed",
    ),
    "no candidate is set, and the shipped policy has no rule that is only observed",
)

SILENT_SERIES = {
    "consent_gate_worker_retries_total": "a series begins with its first error, and there was none",
}

FIRING = {
    "ConsentGateDeadLetters": "somebody in the demo's day writes garbage",
    "ConsentGateConsentEventUnreadable": "somebody's consent event is garbage, too",
    "ConsentGateFaults": "and that person gets messages, which are held",
    "ConsentGateMisplacedRecords": "somebody's producer puts records where it should not",
    "ConsentGateTopicsWeak": "one broker keeps one copy",
}
"""All other alerts are silent, as in health: what they are about did not happen."""


@pytest.fixture(scope="module")
def prometheus(
    kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A Prometheus that has seen a gate restore, decide, hold, drop and dead-letter."""
    program = need("prometheus", "Debian: apt install prometheus")
    folder: Path = tmp_path_factory.mktemp("watched")
    bed = Bed(kafka.bootstrap_servers, f"t{secrets.token_hex(3)}.", folder)
    gate_port, worker_port = free_ports(2)
    with a_prometheus(program, gate_port, worker_port, folder) as watching:
        yesterday(bed)
        # Prometheus begins to scrape some seconds after it answers. It is to see the gate's
        # numbers before the restore moves them.
        wait_for(lambda: len(watching.values("up == 0")) == 2, what="for the first scrapes")
        with processes(bed.settings, gate_port, worker_port, folder) as config:
            until_the_day_is_seen(config, watching)
            yield watching


def yesterday(bed: Bed) -> None:
    """Let another gate decide something, so that the one that is watched has state to restore."""
    bed.request(an_sms_requested(valid_until=None))
    bed.flush()
    with bed.ready_gate():
        bed.decided(1)


def until_the_day_is_seen(config: Path, watching: Prometheus) -> None:
    """Play the demo's day once both are ready, and wait until Prometheus has all of it."""
    for job in ("consent-gate", "consent-gate-worker"):
        ready = f'consent_gate_condition{{job="{job}"}}'
        wait_for(partial(_holds, watching, ready), what=f"for {job} to be ready")
    play_a_day(config, REQUESTS)
    for expr in (
        "consent_gate:allowed_share:1h",
        # A second scrape of series that begin with their first event.
        "rate(consent_gate_reasons_total[30s])",
        "rate(consent_gate_worker_events_total[30s])",
    ):
        wait_for(partial(watching.values, expr), what=f"for {expr}")


def _holds(watching: Prometheus, expr: str) -> bool:
    return min(watching.values(expr), default=0) == 1


def asked(expr: str) -> str:
    """Fill in what Grafana fills in."""
    given = {
        "$__rate_interval": "30s",
        "$__interval": "30s",
        "$__range": "5m",
        "$gate": ".*",
        "$worker": ".*",
    }
    for variable, value in given.items():
        expr = expr.replace(variable, value)
    return expr


def test_every_panel_shows_something_or_is_known_to_be_silent_in_health(
    prometheus: Prometheus,
) -> None:
    found = {
        (panel["title"], expr): prometheus.values(asked(expr))
        for panel in [*PANELS, *WORKER_PANELS]
        for expr in expressions(panel)
    }
    silent = {title for (title, _), values in found.items() if not values}
    assert silent == set(SILENT_PANELS)


def test_the_choice_of_gates_and_the_marks_of_policies_work(prometheus: Prometheus) -> None:
    [variable] = [each for each in OVERVIEW["templating"]["list"] if each["name"] == "gate"]
    assert variable["query"] == 'label_values(up{job="consent-gate"}, instance)'
    [series] = prometheus.get("series", **{"match[]": 'up{job="consent-gate"}'})
    assert series["instance"].startswith("127.0.0.1:")
    [mark] = OVERVIEW["annotations"]["list"]
    prometheus.values(asked(mark["expr"]))  # is understood; nothing was reloaded here
    assert prometheus.values(asked(mark["expr"]).removesuffix(" > 0"))


def test_every_rule_is_evaluated_and_only_the_expected_alerts_fire(
    prometheus: Prometheus,
) -> None:
    wait_for(
        lambda: all(
            rule["lastEvaluation"] > "1"
            for group in prometheus.get("rules")["groups"]
            for rule in group["rules"]
        ),
        15,
        "for every rule to be evaluated",
    )
    evaluated = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert len(evaluated) == len(RULES)
    assert [rule["name"] for rule in evaluated if rule["health"] != "ok"] == []
    active = {rule["name"] for rule in evaluated if rule.get("state", "inactive") != "inactive"}
    assert active == set(FIRING)


def test_every_alert_asks_for_series_that_a_gate_has(prometheus: Prometheus) -> None:
    asked_for = {
        (selector.text, alert["alert"]) for alert in ALERTS for selector in selectors(alert["expr"])
    }
    silent = {text for text, _ in asked_for if not prometheus.values(text)}
    assert silent == set(SILENT_SERIES)
