"""Every metric: its name, what it counts in what unit, its labels and its bounds."""

from __future__ import annotations

from streams.telemetry.labels import (
    AGENT,
    CANDIDATE,
    CAUSE,
    CODE,
    CONDITION,
    CONTACT_KIND,
    ERROR,
    EVENT_KIND,
    EVENT_OUTCOME,
    FOLDED,
    PARTITION,
    PURPOSE,
    QUESTION_OUTCOME,
    REASON,
    REASON_KIND,
    REBALANCE,
    RESTORE,
    RESULT,
    RULE,
    STALL,
    STEP,
    TOPIC,
    VERDICT,
    VERSION,
)
from streams.telemetry.series import Instrument, Kind

# Half a millisecond is a barrier's price on loopback, ten seconds the session: after that another
# gate owns the partition.
_STEP_BOUNDS = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)
# Close together around the aim, 50 ms at the 99th percentile.
_LATENCY_BOUNDS = (
    *(0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
_RECORD_BOUNDS = (1.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0)
_BYTE_BOUNDS = tuple(1024.0 * 4**power for power in range(9))  # 1 KiB to 64 MiB
_PARTITION_BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
_RESTORE_BOUNDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0)

REQUESTS = Instrument(
    "consent_gate_requests_total",
    Kind.COUNTER,
    "Requests taken from sms.requested, dead-lettered ones included. Counted after the commit.",
)
DECISIONS = Instrument(
    "consent_gate_decisions_total",
    Kind.COUNTER,
    "Requests decided, by verdict. Counted once, after the commit.",
    (PURPOSE, VERDICT),
)
REASONS = Instrument(
    "consent_gate_reasons_total",
    Kind.COUNTER,
    "Objections recorded. A request with three of them counts three times.",
    (PURPOSE, REASON, REASON_KIND),
    starts_at_zero=False,
)
DEAD_LETTERS = Instrument(
    "consent_gate_dead_letters_total",
    Kind.COUNTER,
    "Records put aside in dead-letters because nobody can judge them: bytes untouched, but of one "
    "above 2 MiB only where it stands (header consent-gate-left-out: its size).",
    (TOPIC, CAUSE),
)
LOST_RECORDS = Instrument(
    "consent_gate_lost_records_total",
    Kind.COUNTER,
    "Records that were gone from a topic before they were read. Anything above 0 is a page.",
    (TOPIC,),
)
BARRIER_WAIT = Instrument(
    "consent_gate_barrier_wait_seconds",
    Kind.HISTOGRAM,
    "From reading the barrier to having folded the state up to it, a batch.",
    bounds=_STEP_BOUNDS,
)
BARRIER_PARTITIONS = Instrument(
    "consent_gate_barrier_partitions",
    Kind.HISTOGRAM,
    "State partitions that one barrier covered.",
    bounds=_PARTITION_BOUNDS,
)
BATCH_RECORDS = Instrument(
    "consent_gate_batch_records",
    Kind.HISTOGRAM,
    "Requests in one batch.",
    bounds=_RECORD_BOUNDS,
)
BATCH_BYTES = Instrument(
    "consent_gate_batch_bytes",
    Kind.HISTOGRAM,
    "Bytes of the requests in one batch.",
    bounds=_BYTE_BOUNDS,
)
BATCH_PARTITIONS = Instrument(
    "consent_gate_batch_partitions",
    Kind.HISTOGRAM,
    "Request partitions that one batch touched: each costs transaction markers.",
    bounds=_PARTITION_BOUNDS,
)
STEP_SECONDS = Instrument(
    "consent_gate_step_seconds",
    Kind.HISTOGRAM,
    "How long each step of the loop took, a batch.",
    (STEP,),
    bounds=_STEP_BOUNDS,
)
STATE_LAG_RECORDS = Instrument(
    "consent_gate_state_lag_records",
    Kind.GAUGE,
    "Records of a state topic that are not folded yet.",
    (PARTITION, TOPIC),
)
STATE_LAG_SECONDS = Instrument(
    "consent_gate_state_lag_seconds",
    Kind.GAUGE,
    "How long the fold of a state topic has been behind its end; 0 when it is not.",
    (PARTITION, TOPIC),
)
REQUEST_LAG_RECORDS = Instrument(
    "consent_gate_request_lag_records",
    Kind.GAUGE,
    "Requests that lie in Kafka and are not decided yet.",
    (PARTITION,),
)
REQUEST_LAG_SECONDS = Instrument(
    "consent_gate_request_lag_seconds",
    Kind.GAUGE,
    "How long the oldest of them has been waiting, as far as the gate knows; 0 when none waits.",
    (PARTITION,),
)
WAITING_HOLDS = Instrument(
    "consent_gate_waiting_holds",
    Kind.GAUGE,
    "Messages that are held now, each by the severest of its reasons.",
    (PARTITION, REASON),
)
OVERDUE_HOLDS_SECONDS = Instrument(
    "consent_gate_overdue_holds_seconds",
    Kind.GAUGE,
    "How long the first of them that is to be decided again has been due; 0 when none is.",
    (PARTITION,),
)
DECISION_LATENCY = Instrument(
    "consent_gate_decision_latency_seconds",
    Kind.HISTOGRAM,
    "From the broker's timestamp of the request to the commit of its decision.",
    bounds=_LATENCY_BOUNDS,
)
TRANSACTIONS = Instrument(
    "consent_gate_transactions_total", Kind.COUNTER, "Kafka transactions, by end.", (RESULT,)
)
TRANSACTION_SECONDS = Instrument(
    "consent_gate_transaction_seconds",
    Kind.HISTOGRAM,
    "From the begin of a Kafka transaction to its end.",
    (RESULT,),
    bounds=_STEP_BOUNDS,
)
REBALANCES = Instrument(
    "consent_gate_rebalances_total",
    Kind.COUNTER,
    "Changes of this gate's assignment.",
    (REBALANCE,),
)
ASSIGNED_PARTITIONS = Instrument(
    "consent_gate_assigned_partitions", Kind.MEMBERS, "Request partitions this gate has."
)
STALLED_PARTITIONS = Instrument(
    "consent_gate_stalled_partitions",
    Kind.MEMBERS,
    "Partitions whose requests wait in Kafka, nothing of them allowed.",
    (STALL,),
)
STALLS = Instrument(
    "consent_gate_stalls_total", Kind.COUNTER, "Times a partition began to wait.", (STALL,)
)
RESTORE_RATIO = Instrument(
    "consent_gate_restore_ratio",
    Kind.GAUGE,
    "How much of a partition's state is restored, 0 to 1.",
    (PARTITION,),
)
RESTORE_RECORDS = Instrument(
    "consent_gate_restore_records",
    Kind.GAUGE,
    "Records that the restore of a partition reads in all.",
    (PARTITION,),
)
RESTORES = Instrument(
    "consent_gate_restores_total", Kind.COUNTER, "Partitions restored.", (RESTORE,)
)
RESTORED_RECORDS = Instrument(
    "consent_gate_restored_records_total", Kind.COUNTER, "Records read by finished restores."
)
RESTORE_SECONDS = Instrument(
    "consent_gate_restore_seconds",
    Kind.HISTOGRAM,
    "How long the restore of a partition took.",
    bounds=_RESTORE_BOUNDS,
)
CONSENT_EVENTS = Instrument(
    "consent_gate_consent_events_total",
    Kind.COUNTER,
    "Consent events folded. Refused ones stand in the ledger all the same.",
    (EVENT_KIND, FOLDED),
)
CONTACT_ENTRIES = Instrument(
    "consent_gate_contact_entries_total",
    Kind.COUNTER,
    "Address-book entries folded.",
    (CONTACT_KIND,),
)
MISPLACED = Instrument(
    "consent_gate_misplaced_total",
    Kind.COUNTER,
    "Records in a partition that their key does not belong to, re-sent to the right one.",
    (TOPIC,),
)
TOPIC_WARNINGS = Instrument(
    "consent_gate_topic_warnings_total",
    Kind.COUNTER,
    "What was found at start about the topics that is weaker than the guarantees want it.",
)
POLICY_INFO = Instrument(
    "consent_gate_policy_info", Kind.GAUGE, "1 for the policy version that decides.", (VERSION,)
)
POLICY_LOADED_AT = Instrument(
    "consent_gate_policy_loaded_timestamp_seconds",
    Kind.GAUGE,
    "Since when it decides, in seconds since the epoch; 0 before the first.",
)
POLICY_REFUSALS = Instrument(
    "consent_gate_policy_refusals_total",
    Kind.COUNTER,
    "New policies that were refused; the old one went on deciding.",
)
RULES_OBSERVED = Instrument(
    "consent_gate_rules_observed_total",
    Kind.COUNTER,
    "Requests that a rule matched which is only observed, and had no part in the verdict.",
    (RULE,),
    starts_at_zero=False,
)
CANDIDATE_INFO = Instrument(
    "consent_gate_candidate_info",
    Kind.GAUGE,
    "1 for the version of the candidate policy; 0, version none, when it was refused.",
    (VERSION,),
    starts_at_zero=False,
)
CANDIDATE_DECISIONS = Instrument(
    "consent_gate_candidate_decisions_total",
    Kind.COUNTER,
    "Requests decided, by verdict and by what the candidate policy would have made of them.",
    (PURPOSE, VERDICT, CANDIDATE),
    starts_at_zero=False,
)
CANDIDATE_REFUSALS = Instrument(
    "consent_gate_candidate_refusals_total",
    Kind.COUNTER,
    "Times a candidate policy could not be loaded; the gate goes on without one.",
)
CANDIDATE_ERRORS = Instrument(
    "consent_gate_candidate_errors_total",
    Kind.COUNTER,
    "Errors of the candidate policy; the decisions were made all the same, without its word.",
)
BUILD_INFO = Instrument(
    "consent_gate_build_info", Kind.GAUGE, "1 for the version of consent-gate.", (VERSION,)
)
CONDITIONS = Instrument(
    "consent_gate_condition",
    Kind.GAUGE,
    "Whether a condition of being ready holds: of those that this process needs.",
    (CONDITION,),
    starts_at_zero=False,
)
KAFKA_ERRORS = Instrument(
    "consent_gate_kafka_errors_total",
    Kind.COUNTER,
    "Errors that librdkafka reported, most of which it mends itself.",
    (CODE,),
    starts_at_zero=False,
)
ERRORS = Instrument(
    "consent_gate_errors_total",
    Kind.COUNTER,
    "Errors that the gate met and handled, or stopped for.",
    (ERROR,),
)
STORED_SUBJECTS = Instrument(
    "consent_gate_stored_subjects_total", Kind.COUNTER, "Subjects written to the local store."
)

WORKER_EVENTS = Instrument(
    "consent_gate_worker_events_total",
    Kind.COUNTER,
    "Events that an agent took, by what became of them. Counted after everything is written.",
    (AGENT, EVENT_OUTCOME),
)
WORKER_BATCH_SECONDS = Instrument(
    "consent_gate_worker_batch_seconds",
    Kind.HISTOGRAM,
    "From an agent's taking of a batch to having all of it on the brokers, retries included.",
    (AGENT,),
    bounds=(*_STEP_BOUNDS, 30.0, 120.0),
)
WORKER_RETRIES = Instrument(
    "consent_gate_worker_retries_total",
    Kind.COUNTER,
    "Times a batch was tried again because something outside did not answer.",
    (AGENT, ERROR),
    starts_at_zero=False,
)
WORKER_LAG_RECORDS = Instrument(
    "consent_gate_worker_lag_records",
    Kind.GAUGE,
    "Records of a topic that the worker has not handled yet. On a topic that transactions write it "
    "never reaches 0: their markers count.",
    (PARTITION, TOPIC),
)
WORKER_STATE_KEYS = Instrument(
    "consent_gate_worker_state_restored_keys_total",
    Kind.COUNTER,
    "Keys of agents' state that were read back at assignments.",
)
WORKER_STATE_REPAIRED = Instrument(
    "consent_gate_worker_state_repaired_keys_total",
    Kind.COUNTER,
    "Of these, those that a batch left behind that was cut off, and that were put back.",
)
WORKER_STATE_SECONDS = Instrument(
    "consent_gate_worker_state_restore_seconds",
    Kind.HISTOGRAM,
    "How long reading the state back took, an assignment.",
    bounds=_RESTORE_BOUNDS,
)
WORKER_CONFIRMATIONS = Instrument(
    "consent_gate_worker_confirmations_total",
    Kind.COUNTER,
    "Questions and reminders that the worker wrote to have consents confirmed, and what became of "
    "the consents. Whether a question passed, the gate's decisions of purpose `confirmation` say.",
    (QUESTION_OUTCOME,),
)

METRICS: tuple[Instrument, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Instrument)
)
"""Every metric, in the order of this file."""
