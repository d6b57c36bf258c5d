"""
The reference pages that are made from the code, so that they cannot say something else.

``python -m streams.cli.reference`` writes them into ``docs/``; a test compares them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from streams.config import FIXED_KAFKA, Settings
from streams.config.loading import expected
from streams.topology import TOPICS, Role, Topic, duration

_MADE = "<!-- Made by `python -m streams.cli.reference` from {source}. Do not edit. -->"


def topics_page() -> str:
    """Return ``docs/topics.md``: every topic, how the broker keeps it, and who may do what."""
    lines = [
        _MADE.format(source="streams/topology.py"),
        "",
        "# Topics",
        "",
        "`consent-gate topics apply` creates them, `consent-gate topics check` compares a cluster",
        "with them. Names can be changed with the settings `topic_prefix` and `topic_names`,",
        "retentions with `retention`, the number of partitions, before the first record, with",
        "`partitions`.",
        "",
        *_table(
            ("topic", "key", "records", "written by", "read by", "partitions", "kept"),
            (
                (
                    f"`{topic.name}`",
                    topic.key,
                    ", ".join(topic.schemas) or "as they came",
                    _roles(topic.writers),
                    _roles(topic.readers),
                    topic.partitions.value,
                    _kept(topic),
                )
                for topic in TOPICS
            ),
        ),
        "",
        "## What the broker is told",
        "",
        "The values are Kafka's topic configurations. All topics have `retention.bytes=-1`,",
        "`unclean.leader.election.enable=false`, and `min.insync.replicas=2` where there are three",
        "replicas. `segment.ms` bounds how much longer than its retention a record stays.",
        "",
        *_table(
            (
                "topic",
                "cleanup.policy",
                "segment.ms",
                "message.timestamp.type",
                "max.message.bytes",
                "max.compaction.lag.ms",
                "delete.retention.ms",
            ),
            ((f"`{topic.name}`", *_broker(topic)) for topic in TOPICS),
        ),
        "",
        "## Who may do what",
        "",
        "For access lists: nobody else needs more. The gate reads under the group `group_id` and",
        "writes under transactional ids that begin with `<group_id>-`; the worker reads under the",
        "group `<group_id>.worker`. So a gate needs, besides its topics, Read and Describe on its",
        "group, and Write and Describe on the prefix `<group_id>-` of TransactionalId.",
        "",
        *_table(
            ("who", "writes", "reads"),
            (
                (
                    role.value,
                    ", ".join(f"`{t.name}`" for t in TOPICS if role in t.writers) or "-",
                    ", ".join(f"`{t.name}`" for t in TOPICS if role in t.readers) or "-",
                )
                for role in Role
            ),
        ),
        "",
    ]
    return "\n".join(lines)


def configuration_page() -> str:
    """Return ``docs/configuration.md``: every setting, and what is refused and why."""
    lines = [
        _MADE.format(source="streams/config/"),
        "",
        "# Configuration",
        "",
        "One YAML file: `--config FILE`, else the file that `CONSENT_GATE_CONFIG` names, else",
        "`consent-gate.yaml` in the working directory if it is there. `CONSENT_GATE_<NAME>` in the",
        "environment beats the file. A mapping is written as JSON there and beats single keys:",
        '`CONSENT_GATE_KAFKA=\'{"sasl.password": "…"}\'` leaves the rest of `kafka` as it is.',
        "Relative folders in the file are relative to the file.",
        "",
        "`consent-gate config show` prints every value, where it came from, and no secret.",
        "",
        *_table(
            ("setting", "is", "default", "what it does, and what breaks"),
            (
                (f"`{name}`", expected(name), _default(name), setting.description or "")
                for name, setting in Settings.model_fields.items()
            ),
        ),
        "",
        "## librdkafka settings that cannot be passed through",
        "",
        "Everything else under `kafka` goes to librdkafka as it is.",
        "",
        *_table(
            ("setting", "why it is fixed"),
            ((f"`{name}`", reason) for name, reason in FIXED_KAFKA.items()),
        ),
        "",
    ]
    return "\n".join(lines)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _roles(roles: tuple[Role, ...]) -> str:
    return ", ".join(role.value for role in roles)


def _kept(topic: Topic) -> str:
    kept = [] if topic.retention_ms is None else [duration(topic.retention_ms)]
    if topic.compacted:
        kept.insert(0, "the last of each key")
    return ", for ".join(kept)


def _broker(topic: Topic) -> list[str]:
    told = topic.broker_settings(replication_factor=3)
    return [
        told["cleanup.policy"],
        duration(topic.segment_ms),
        told["message.timestamp.type"],
        told["max.message.bytes"],
        "-" if topic.max_compaction_lag_ms is None else duration(topic.max_compaction_lag_ms),
        "-" if topic.delete_retention_ms is None else duration(topic.delete_retention_ms),
    ]


_COMPUTED = {
    "state_dir": "the user's state folder, such as `~/.local/state/consent-gate`",
    "policy_dir": "the policy in the package",
    "keywords_dir": "the lists in the package",
    "answers_file": "the answers in the package",
    "secrets_dir": "in the user's configuration folder, such as `~/.config/consent-gate/secrets`",
}


def _default(name: str) -> str:
    if name in _COMPUTED:
        return _COMPUTED[name]
    default = Settings.model_fields[name].get_default(call_default_factory=True)
    if default is None:
        return "-"
    shown = default if isinstance(default, str) else json.dumps(default, default=lambda v: v.value)
    return f"`{shown}`" if shown else "nothing"


if __name__ == "__main__":
    docs = Path(__file__).parents[2] / "docs"
    (docs / "topics.md").write_text(topics_page(), encoding="utf-8")
    (docs / "configuration.md").write_text(configuration_page(), encoding="utf-8")
