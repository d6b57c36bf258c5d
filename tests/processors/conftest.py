"""What every test of the worker needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.broker.cluster import EmbeddedKafka
from tests.gate.bed import Bed


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    """An installation with two partitions; a short session, as a fresh member must not wait."""
    return Bed(kafka.bootstrap_servers, topic_prefix, tmp_path, session_timeout_ms=6_000)
