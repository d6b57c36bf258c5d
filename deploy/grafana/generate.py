"""
Writes the dashboards that Grafana is provisioned with, ``dashboards/*.json``.

``python deploy/grafana/generate.py`` writes them, ``--check`` compares and ends with 1 if one
differs.
It lives here and not in ``streams``: the library it needs is in the extra ``check`` only, and
nothing that runs in production may import what production does not install.

The gates' dashboard reads from top to bottom. First: is anyone getting what they should not, and
is anything stuck? Then what is decided; why something was not sent; how fast; how the state does.
What the rules blocked, what is held, what the gate itself could not judge, what nobody could read
and what is lost are five panels and never one series. The worker's dashboard is in worker.py.

A metric that does not exist, a label it has not, or a query that finds nothing on a running gate
and worker fails in ``tests/deploy``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard
from panels import (
    ANY_IS_BAD,
    BLUE,
    GREEN,
    GREY,
    RED,
    SOURCE,
    YELLOW,
    Panel,
    Query,
    as_json,
    board_of,
    lines,
)
from panels import rows as table_of
from panels import value as one
from worker import worker

FOLDER = Path(__file__).parent / "dashboards"

GATE = 'job="consent-gate", instance=~"$gate"'
"""The gates chosen at the top of the dashboard. In every selector."""


def rate(metric: str, by: str, selector: str = "") -> str:
    """Return the query for a counter's growth a second, summed by labels."""
    chosen = ", ".join(filter(None, [selector, GATE]))
    return f"sum by ({by}) (rate({metric}{{{chosen}}}[$__rate_interval]))"


def quantiles(metric: str, selector: str = "") -> list[Query]:
    """Return the queries for the median and the 99th percentile of a histogram, over all gates."""
    return _quantiles_of(rate(f"{metric}_bucket", "le", selector))


def quantiles_so_far(metric: str) -> list[Query]:
    """
    Return the same over all that happened since the gates were started.

    For what happens at a start: it is over before the first scrape, and a rate never sees it.
    """
    return _quantiles_of(f"sum by (le) ({metric}_bucket{{{GATE}}})")


def _quantiles_of(buckets: str) -> list[Query]:
    return [
        Query(f"histogram_quantile(0.99, {buckets})", "p99"),
        Query(f"histogram_quantile(0.5, {buckets})", "p50"),
    ]


def is_all_well() -> Iterator[Panel]:
    """Yield the first row: numbers that are green or say where to look."""
    up = f"count(up{{{GATE}}})"
    ready = f"sum(min by (instance) (consent_gate_condition{{{GATE}}}))"
    yield one(
        "Gates not ready",
        "Gates that are down, start, restore, or have lost their partitions. `consent-gate status` "
        "says why.",
        f"{up} - ({ready} or vector(0))",
        width=3,
        steps=ANY_IS_BAD,
    )
    yield one(
        "Policies in force",
        "How many policy versions decide at this moment. For longer than it takes to reload them "
        "it must be one.",
        f"count(count by (version) (consent_gate_policy_info{{{GATE}}}))",
        width=3,
        steps=[(None, RED), (1, GREEN), (2, RED)],
    )
    yield one(
        "Allowed: off yesterday by",
        "Of all purposes the largest difference between the allowed share of the last hour and of "
        "the same hour yesterday. An alert fires above 20 %.",
        "max(abs(consent_gate:allowed_share:1h - consent_gate:allowed_share:1h offset 1d))",
        width=3,
        steps=[(None, GREEN), (0.1, YELLOW), (0.2, RED)],
        unit="percentunit",
        empty="no yesterday",
    )
    yield one(
        "Partitions that wait",
        "Their requests lie in Kafka, and nothing of them is allowed. Those that are being "
        "restored are not counted here.",
        f'sum(consent_gate_stalled_partitions{{cause!="restoring", {GATE}}})',
        width=3,
        steps=ANY_IS_BAD,
    )
    yield one(
        "State behind by",
        "How long the partition that is worst off has been waiting for consent events to be read.",
        f"max(consent_gate_state_lag_seconds{{{GATE}}})",
        width=3,
        steps=[(None, GREEN), (5, YELLOW), (30, RED)],
        unit="s",
    )
    yield one(
        "Records lost",
        "Gone from Kafka before a gate has read them, since the gates were started. Not blocked, "
        "not held: nobody knows what they said.",
        f"sum(consent_gate_lost_records_total{{{GATE}}})",
        width=3,
        steps=ANY_IS_BAD,
    )
    yield one(
        "Dead letters",
        "Records that nobody can read or judge, in the time shown. Their bytes are kept.",
        f"round(sum(increase(consent_gate_dead_letters_total{{{GATE}}}[$__range])))",
        width=3,
        steps=[(None, GREEN), (1, YELLOW)],
    )
    yield one(
        "Transactions taken back",
        "In the time shown. Each was tried again, and nothing was sent twice; it cost time.",
        "round(sum(increase(consent_gate_transactions_total"
        f'{{result!="committed", {GATE}}}[$__range])))',
        width=3,
        steps=[(None, GREEN), (1, YELLOW)],
    )


def what_is_decided() -> Iterator[Panel]:
    """Yield the row of requests and verdicts."""
    yield lines(
        "Requests decided",
        "Requests a second that were committed, by gate.",
        Query(rate("consent_gate_requests_total", "instance"), "{{instance}}"),
        unit="reqps",
        stacked=True,
    )
    yield lines(
        "Verdicts",
        "Decisions a second, by verdict. Quarantined messages are held, dropped ones are gone for "
        "good, as they should be.",
        Query(rate("consent_gate_decisions_total", "verdict"), "{{verdict}}"),
        unit="reqps",
        stacked=True,
        colours={"ALLOWED": GREEN, "DROPPED": BLUE, "QUARANTINED": YELLOW},
    )
    allowed = rate("consent_gate_decisions_total", "purpose", 'verdict="ALLOWED"')
    yield lines(
        "Allowed share",
        "Of all decisions about messages of one purpose. A step without a change of policy, of a "
        "campaign or of an import needs an explanation.",
        Query(f"{allowed} / {rate('consent_gate_decisions_total', 'purpose')}", "{{purpose}}"),
        unit="percentunit",
        highest=1,
    )
    yield lines(
        "Decisions by purpose and verdict",
        "Decisions a second. `other` is a purpose that the policy does not name.",
        Query(rate("consent_gate_decisions_total", "purpose, verdict"), "{{purpose}} {{verdict}}"),
        width=24,
        unit="reqps",
    )
    yield lines(
        "Requests that wait",
        "Requests that lie in Kafka and are not decided yet, by gate.",
        Query(
            f"sum by (instance) (consent_gate_request_lag_records{{{GATE}}})",
            "{{instance}}",
        ),
        width=12,
    )
    yield lines(
        "The oldest of them waits for",
        "By the worst partition of each gate. One-time passwords run out meanwhile.",
        Query(
            f"max by (instance) (consent_gate_request_lag_seconds{{{GATE}}})",
            "{{instance}}",
        ),
        width=12,
        unit="s",
        bound=60,
    )


def why_not_sent() -> Iterator[Panel]:
    """Yield the row of reasons: five things that must never be mixed up."""
    for title, kind, help in (
        (
            "Blocked, by reason",
            "block",
            "Forbidden messages a second: what the gate is there for. One message may have several "
            "reasons.",
        ),
        (
            "Held, by reason",
            "hold",
            "Messages a second that wait in sms.quarantined for a time, a person or a change.",
        ),
    ):
        yield lines(
            title,
            help,
            Query(rate("consent_gate_reasons_total", "reason", f'kind="{kind}"'), "{{reason}}"),
            width=12,
            unit="reqps",
        )
    yield lines(
        "Held now, by reason",
        "Messages that wait, each by the severest of its reasons. Those that only a person may "
        "release wait until their end.",
        Query(f"sum by (reason) (consent_gate_waiting_holds{{{GATE}}})", "{{reason}}"),
        width=12,
        stacked=True,
    )
    yield lines(
        "Holds are overdue for",
        "By the worst partition of each gate: for how long the first that is due has been. Very "
        "many that fall due at once take some minutes.",
        Query(f"max by (instance) (consent_gate_overdue_holds_seconds{{{GATE}}})", "{{instance}}"),
        width=12,
        unit="s",
        bound=900,
    )
    yield lines(
        "Faults: the gate could not judge",
        "Requests a second that are held because a rule failed or a person's state cannot be read.",
        Query(rate("consent_gate_reasons_total", "reason", 'kind="fault"'), "{{reason}}"),
        unit="reqps",
    )
    yield lines(
        "Dead letters: nobody can judge",
        "Records a second put aside in dead-letters, bytes untouched (of one above 2 MiB only "
        "where it stands). In consent.events any of them may be a STOP.",
        Query(rate("consent_gate_dead_letters_total", "topic, cause"), "{{topic}} {{cause}}"),
    )
    yield lines(
        "Lost: gone before they were read",
        "Records since the gates were started. Kafka deleted them.",
        Query(f"sum by (topic) (consent_gate_lost_records_total{{{GATE}}})", "{{topic}}"),
        bound=1,
    )


def how_fast() -> Iterator[Panel]:
    """Yield the row of latencies, batches and transactions."""
    yield lines(
        "Decision latency",
        "From the broker's timestamp of the request to the commit of its decision.",
        *quantiles("consent_gate_decision_latency_seconds"),
        unit="s",
    )
    yield lines(
        "Barrier wait",
        "From reading how far the state goes to having read all of it, a batch: the price of "
        "honouring every withdrawal.",
        *quantiles("consent_gate_barrier_wait_seconds"),
        unit="s",
    )
    yield lines(
        "Batch size",
        "Requests in one transaction. Small under light load, which makes for low latency.",
        *quantiles("consent_gate_batch_records"),
    )
    yield lines(
        "Where the time goes",
        "Seconds that each step of the loop takes of a second, all gates together. A gate that has "
        "no time left adds up to 1.",
        Query(rate("consent_gate_step_seconds_sum", "step"), "{{step}}"),
        unit="s",
        stacked=True,
    )
    yield lines(
        "Transactions",
        "A second, by end. `aborted` was taken back and tried again; after `rebuilt` the gate has "
        "restored everything.",
        Query(rate("consent_gate_transactions_total", "result"), "{{result}}"),
        unit="ops",
        colours={"committed": GREEN, "aborted": YELLOW, "rebuilt": RED},
    )
    yield lines(
        "Transaction time",
        "Of committed ones. It grows with the partitions in a batch: each costs a marker.",
        *quantiles("consent_gate_transaction_seconds", 'result="committed"'),
        unit="s",
    )
    yield lines(
        "Barrier and batch, partitions",
        "How many partitions one barrier covered, and how many one batch touched: medians.",
        quantiles("consent_gate_barrier_partitions")[1],
        quantiles("consent_gate_batch_partitions")[1],
    )
    yield lines(
        "Bytes taken",
        "Of requests, a second, by gate.",
        Query(rate("consent_gate_batch_bytes_sum", "instance"), "{{instance}}"),
        unit="Bps",
    )
    yield lines(
        "Subjects written",
        "People whose state changed, written to the local store, a second.",
        Query(rate("consent_gate_stored_subjects_total", "instance"), "{{instance}}"),
        unit="ops",
    )


def how_the_state_does() -> Iterator[Panel]:
    """Yield the row of partitions: waiting, behind, restored, moved."""
    yield lines(
        "Partitions that wait, by cause",
        "`restoring` is what a takeover looks like. `batch_unreadable`, `out_of_range`, "
        "`secrets_missing`, `state_unreadable` and `store_full` need a person.",
        Query(f"sum by (cause) (consent_gate_stalled_partitions{{{GATE}}})", "{{cause}}"),
    )
    yield lines(
        "State behind, time",
        "How long the worst partition of each topic has been waiting to be read. 0 when it is not.",
        Query(f"max by (topic) (consent_gate_state_lag_seconds{{{GATE}}})", "{{topic}}"),
        unit="s",
        bound=30,
    )
    yield lines(
        "State behind, records",
        "Records that a waiting partition has still to read.",
        Query(f"sum by (topic) (consent_gate_state_lag_records{{{GATE}}})", "{{topic}}"),
    )
    yield lines(
        "Restore",
        "How much of each partition's state is back, after a start or a takeover.",
        Query(f"min by (partition) (consent_gate_restore_ratio{{{GATE}}})", "{{partition}}"),
        width=6,
        unit="percentunit",
        highest=1,
    )
    yield lines(
        "Restores finished",
        "A second, by where they began: `continued` from the local store, `rebuilt` from the "
        "beginning of the changelog.",
        Query(rate("consent_gate_restores_total", "kind"), "{{kind}}"),
        width=6,
        unit="ops",
    )
    yield lines(
        "Records restored",
        "Records that finished restores have read, a second.",
        Query(rate("consent_gate_restored_records_total", "instance"), "{{instance}}"),
        width=6,
        unit="ops",
    )
    yield lines(
        "Restore time",
        "How long a partition took, since the gates were started.",
        *quantiles_so_far("consent_gate_restore_seconds"),
        width=6,
        unit="s",
    )
    yield lines(
        "Partitions by gate",
        "Request partitions that each gate has.",
        Query(f"sum by (instance) (consent_gate_assigned_partitions{{{GATE}}})", "{{instance}}"),
        stacked=True,
    )
    yield lines(
        "Rebalances",
        "A second, by what happened to the gate's partitions. `lost` without being asked: it was "
        "away for longer than its session.",
        Query(rate("consent_gate_rebalances_total", "kind"), "{{kind}}"),
        unit="ops",
    )
    yield lines(
        "Partitions that began to wait",
        "A second, by cause. Short waits that the panel of those that wait does not catch.",
        Query(rate("consent_gate_stalls_total", "cause"), "{{cause}}"),
        unit="ops",
    )


def what_is_folded() -> Iterator[Panel]:
    """Yield the row of consent events and address-book entries."""
    events = "consent_gate_consent_events_total"
    yield lines(
        "Consent events applied",
        "A second, by kind.",
        Query(rate(events, "kind", 'result="applied"'), "{{kind}}"),
        width=6,
        unit="ops",
        colours={"WITHDRAWN": RED, "GRANTED": GREEN},
    )
    yield lines(
        "Consent events refused",
        "A second, by kind and why. Each is in the ledger. CLOCK_AHEAD and NO_PURPOSE are mistakes "
        "of whoever writes them.",
        Query(rate(events, "kind, result", 'result!="applied"'), "{{kind}} {{result}}"),
        width=6,
        unit="ops",
    )
    yield lines(
        "Address-book entries",
        "A second: added, or taken back.",
        Query(rate("consent_gate_contact_entries_total", "kind"), "{{kind}}"),
        width=6,
        unit="ops",
    )
    yield lines(
        "Records in the wrong partition",
        "A second: re-sent to where they belong. Their producer's partitioner is not murmur2.",
        Query(rate("consent_gate_misplaced_total", "topic"), "{{topic}}"),
        width=6,
        unit="ops",
    )


def which_policy_and_errors() -> Iterator[Panel]:
    """Yield the last row: what runs, and what it complained of."""
    since = f"consent_gate_policy_loaded_timestamp_seconds{{{GATE}}} * 1000"
    yield table_of(
        "Policy by gate",
        "Which version decides at each gate, and since when.",
        f"consent_gate_policy_info{{{GATE}}} * on (instance) group_left () ({since})",
        columns={"instance": "gate", "version": "policy", "Value": "since"},
        unit="dateTimeAsIso",
    )
    yield table_of(
        "Version by gate",
        "Which consent-gate runs.",
        f"consent_gate_build_info{{{GATE}}}",
        columns={"instance": "gate", "version": "consent-gate", "Value": "runs"},
        unit="bool_yes_no",
    )
    yield lines(
        "Policies refused",
        "New policies that a gate would not take. It goes on with the old one.",
        Query(f"sum by (instance) (consent_gate_policy_refusals_total{{{GATE}}})", "{{instance}}"),
    )
    yield lines(
        "Errors",
        "A second, by class: what the gate met and handled, or stopped for. The log has the words.",
        Query(rate("consent_gate_errors_total", "error"), "{{error}}"),
        unit="ops",
    )
    yield lines(
        "Errors of Kafka clients",
        "A second, by librdkafka's code. Most of them mend themselves.",
        Query(rate("consent_gate_kafka_errors_total", "code"), "{{code}}"),
        unit="ops",
    )
    yield lines(
        "Topics weaker than the guarantees want",
        "What each gate found when it started, such as one replica. `consent-gate topics check` "
        "says what.",
        Query(f"sum by (instance) (consent_gate_topic_warnings_total{{{GATE}}})", "{{instance}}"),
    )


def what_a_candidate_would_do() -> Iterator[Panel]:
    """Yield the row of what is tried out: a candidate policy, and rules that are only observed."""
    decided = "consent_gate_candidate_decisions_total"
    for title, help, other in (
        (
            "Allowed now, not by the candidate",
            "Requests a second that pass and would not.",
            'verdict="ALLOWED",candidate!="ALLOWED"',
        ),
        (
            "Allowed by the candidate, not now",
            "Requests a second that do not pass and would.",
            'verdict!="ALLOWED",candidate="ALLOWED"',
        ),
    ):
        yield lines(
            title,
            f"{help} Which ones, the field shadow of their decisions says.",
            Query(rate(decided, "purpose, candidate", other), "{{purpose}} {{candidate}}"),
            width=12,
            unit="reqps",
        )
    yield table_of(
        "Candidate by gate",
        "Which version is asked beside the policy. No row: none is set; none: it was refused.",
        f"consent_gate_candidate_info{{{GATE}}}",
        columns={"instance": "gate", "version": "candidate", "Value": "asked"},
        unit="bool_yes_no",
    )
    yield lines(
        "Candidates refused, and their errors",
        "Since the gates were started. Neither stops anything: the log has the words.",
        Query(f"sum by (instance) (consent_gate_candidate_refusals_total{{{GATE}}})", "refused"),
        Query(f"sum by (instance) (consent_gate_candidate_errors_total{{{GATE}}})", "errors"),
    )
    yield lines(
        "Rules only observed",
        "Requests a second that they matched, and did not stop or let pass.",
        Query(rate("consent_gate_rules_observed_total", "rule"), "{{rule}}"),
        unit="reqps",
    )


ROWS = {
    "Is anyone getting what they should not? Is anything stuck?": is_all_well,
    "What is decided": what_is_decided,
    "Why something was not sent": why_not_sent,
    "How fast": how_fast,
    "How the state does": how_the_state_does,
    "What is folded in": what_is_folded,
    "Candidate policy": what_a_candidate_would_do,
    "Policies, versions, errors": which_policy_and_errors,
}


def overview() -> str:
    """Return the dashboard as JSON text."""
    board = board_of(
        "consent-gate",
        "consent-gate-overview",
        "Every SMS is decided by its recipient's consent: is it, and how fast.",
        choice=("gate", "Gate", "consent-gate"),
        rows={title: panels() for title, panels in ROWS.items()},
    )
    return as_json(
        board.annotation(
            dashboard.AnnotationQuery()
            .name("A policy was loaded")
            .datasource(SOURCE)
            .enable(True)
            .icon_color(GREY)
            .expr(
                f"changes(consent_gate_policy_loaded_timestamp_seconds{{{GATE}}}[$__interval]) > 0"
            )
            .title_format("policy loaded")
            .text_format("{{instance}}")
        )
    )


def main(arguments: list[str]) -> int:
    """Write the files, or with ``--check`` say whether they are as they would be written."""
    written = {FOLDER / "overview.json": overview(), FOLDER / "worker.json": worker()}
    if arguments != ["--check"]:
        for file, text in written.items():
            file.write_text(text, encoding="utf-8")
        return 0
    differing = [f for f, text in written.items() if f.read_text(encoding="utf-8") != text]
    for file in differing:
        print(f"{file} differs: run `python {Path(__file__).name}` in its folder.", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
