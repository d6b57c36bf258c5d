"""
The worker's dashboard, ``dashboards/worker.json``: are replies and address books read, and in time?

``generate.py`` writes it with the others.
"""

from __future__ import annotations

from collections.abc import Iterator

from panels import ANY_IS_BAD, GREEN, YELLOW, Panel, Query, as_json, board_of, lines
from panels import rows as table_of
from panels import value as one

WORKER = 'job="consent-gate-worker", instance=~"$worker"'
"""The workers chosen at the top of the dashboard. In every selector."""


def rate(metric: str, by: str, selector: str = "") -> str:
    """Return the query for a counter's growth a second, summed by labels."""
    chosen = ", ".join(filter(None, [selector, WORKER]))
    return f"sum by ({by}) (rate({metric}{{{chosen}}}[$__rate_interval]))"


def waiting(topic: str) -> str:
    """Return the query for a topic's records that no worker has handled."""
    return f'sum(consent_gate_worker_lag_records{{topic="{topic}", {WORKER}}})'


def is_all_well() -> Iterator[Panel]:
    """Yield the first row: numbers that are green or say where to look."""
    ready = f"sum(min by (instance) (consent_gate_condition{{{WORKER}}}))"
    yield one(
        "Workers not ready",
        "Workers that are down, start, restore, or have no partitions. Their `/readyz` says why.",
        f"count(up{{{WORKER}}}) - ({ready} or vector(0))",
        width=4,
        steps=ANY_IS_BAD,
    )
    yield one(
        "Replies that wait",
        "A STOP among them does not count before it is read.",
        waiting("sms.inbound"),
        width=5,
        steps=[(None, GREEN), (100, YELLOW)],
    )
    yield one(
        "Address books that wait",
        "Uploads, and withdrawals of uploads.",
        waiting("contacts.uploaded"),
        width=5,
        steps=[(None, GREEN), (100, YELLOW)],
    )
    yield one(
        "Tried again",
        "Batches that waited because something outside did not answer, in the time shown.",
        "round(sum(increase(consent_gate_worker_retries_total"
        f"{{{WORKER}}}[$__range])) or vector(0))",
        width=5,
        steps=[(None, GREEN), (1, YELLOW)],
    )
    yield one(
        "Dead letters",
        "Replies and uploads that nobody can read, in the time shown. Their bytes are kept.",
        f"round(sum(increase(consent_gate_dead_letters_total{{{WORKER}}}[$__range])) or vector(0))",
        width=5,
        steps=[(None, GREEN), (1, YELLOW)],
    )


def what_is_handled() -> Iterator[Panel]:
    """Yield the row of events, their pace, and what waits."""
    yield lines(
        "Handled",
        "Records a second, by agent: all that follows from them is on the brokers.",
        Query(rate("consent_gate_worker_events_total", "agent", 'outcome="handled"'), "{{agent}}"),
        unit="ops",
    )
    batch = rate("consent_gate_worker_batch_seconds_bucket", "le, agent")
    yield lines(
        "Batch time",
        "Of the slowest hundredth, by agent: how long a reply takes to become an event, at most.",
        Query(f"histogram_quantile(0.99, {batch})", "{{agent}}"),
        unit="s",
    )
    yield lines(
        "Records that wait",
        "By topic. Where transactions write, their markers count, and it never comes down to 0.",
        Query(f"sum by (topic) (consent_gate_worker_lag_records{{{WORKER}}})", "{{topic}}"),
    )
    yield lines(
        "Handled before",
        "Records a second that came a second time and changed nothing, by agent.",
        Query(
            f"sum by (agent) (rate(consent_gate_worker_events_total"
            f'{{outcome="applied_before", {WORKER}}}[$__rate_interval])) or vector(0)',
            "{{agent}}",
        ),
        unit="ops",
    )
    yield lines(
        "Tried again, by agent and error",
        "A second. What does not answer is in the worker's log.",
        Query(
            f"{rate('consent_gate_worker_retries_total', 'agent, error')} or vector(0)",
            "{{agent}} {{error}}",
        ),
        unit="ops",
    )
    yield lines(
        "Dead letters: nobody can judge",
        "Records a second put aside in dead-letters, bytes untouched. `handler_failed` is a "
        "mistake in an agent, and each of those in sms.inbound may be a STOP.",
        Query(
            f"{rate('consent_gate_dead_letters_total', 'topic, cause')} or vector(0)",
            "{{topic}} {{cause}}",
        ),
    )


def what_is_confirmed() -> Iterator[Panel]:
    """Yield the row of consents that wait to be confirmed."""
    yield lines(
        "Asked to confirm",
        "Questions and reminders written a second, and what became of the consents: `expired` are "
        "those that nobody answered for. Nothing here unless confirm_sender_id is set.",
        Query(rate("consent_gate_worker_confirmations_total", "outcome"), "{{outcome}}"),
        unit="ops",
        width=24,
    )


def how_the_workers_do() -> Iterator[Panel]:
    """Yield the row of partitions, state and versions."""
    yield lines(
        "Partitions by worker",
        "Partitions of its topics that each worker has.",
        Query(f"sum by (instance) (consent_gate_assigned_partitions{{{WORKER}}})", "{{instance}}"),
        width=6,
        stacked=True,
    )
    yield lines(
        "State read back",
        "Keys of the agents' state, after a start or a rebalance; and keys among them that were "
        "put right, because a batch had been cut off.",
        Query(
            f"sum by (instance) (consent_gate_worker_state_restored_keys_total{{{WORKER}}})",
            "{{instance}} read",
        ),
        Query(
            f"sum by (instance) (consent_gate_worker_state_repaired_keys_total{{{WORKER}}})",
            "{{instance}} put right",
        ),
        width=6,
    )
    # Not a rate: it is over before the first scrape.
    restore = f"sum by (le) (consent_gate_worker_state_restore_seconds_bucket{{{WORKER}}})"
    yield lines(
        "Time to read it back",
        "A worker handles nothing meanwhile. All since the workers were started.",
        Query(f"histogram_quantile(0.99, {restore})", "p99"),
        width=6,
        unit="s",
    )
    yield table_of(
        "Version by worker",
        "Which consent-gate runs.",
        f"consent_gate_build_info{{{WORKER}}}",
        columns={"instance": "worker", "version": "consent-gate", "Value": "runs"},
        unit="bool_yes_no",
        width=6,
    )


def worker() -> str:
    """Return the dashboard as JSON text."""
    return as_json(
        board_of(
            "consent-gate worker",
            "consent-gate-worker",
            "Replies and address books become what the gates join: are they read, and in time?",
            choice=("worker", "Worker", "consent-gate-worker"),
            rows={
                "Are replies and address books read?": is_all_well(),
                "What is handled": what_is_handled(),
                "Are consents confirmed?": what_is_confirmed(),
                "How the workers do": how_the_workers_do(),
            },
        )
    )
