"""
Fixtures for every test that needs a real Kafka. Such tests are marked `kafka`.

And how Hypothesis runs: how long an example takes says more of the machine than of the code.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import Literal

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from streams.broker.cluster import EmbeddedKafka
from streams.broker.jars import fetch_jars, locked_jars
from streams.broker.jvm import find_java
from streams.errors import EmbeddedBrokerError

hypothesis_settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("patient")


@pytest.fixture(scope="session")
def kafka() -> Iterator[EmbeddedKafka]:
    """One broker for the whole run, started by the first test that asks. Leave it running."""
    yield from _running(1)


@pytest.fixture(scope="session")
def kafka3() -> Iterator[EmbeddedKafka]:
    """Three brokers for the whole run. A test that ends or pauses one brings it back."""
    yield from _running(3)


@pytest.fixture
def topic_prefix() -> str:
    """A prefix for the topics, groups and transactional ids of one test, such as `t3f9a1c.`."""
    return f"t{secrets.token_hex(3)}."


def _running(brokers: Literal[1, 3]) -> Iterator[EmbeddedKafka]:
    need_embedded_kafka()
    with EmbeddedKafka(brokers) as cluster:
        yield cluster


def need_embedded_kafka() -> None:
    """Skip where there are no jars or no JVM, as on a laptop off the net; in CI that fails."""
    try:
        fetch_jars(locked_jars())
        find_java()
    except EmbeddedBrokerError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"NOT TESTED, no embedded Kafka: {error}")
