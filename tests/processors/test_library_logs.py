"""Faust and its libraries may quote records in their lines; ours do not."""

from __future__ import annotations

import logging

import pytest

from streams.processors.library_logs import tame_library_logs
from streams.processors.transport import Consumer, ConsumerThread


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines of our own logger: all that is written anywhere. (pytest sees others, too.)"""
    ours = [record for record in caplog.records if record.name == "consent_gate"]
    return [str((record.msg, record.args, record.exc_info)) for record in ours]


@pytest.fixture(autouse=True)
def tamed() -> None:
    tame_library_logs()


@pytest.mark.parametrize(
    "name", ["faust.transport.consumer", "mode.services", "aiokafka", "asyncio", "faust"]
)
def test_a_line_is_told_without_what_was_put_into_it(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger(name).warning("DROPPED %r", b"+12025550123: secret")
    logging.getLogger(name).error("raised: %r", ValueError("the secret body"))

    found = told(caplog)
    assert len(found) == 2
    assert "secret" not in str(found)
    assert "2025550123" not in str(found)
    assert "ValueError" in found[1]
    assert name in found[0]


def test_what_our_own_consumer_logs_goes_the_same_way(caplog: pytest.LogCaptureFixture) -> None:
    for kind in (Consumer, ConsumerThread):
        kind.logger.error("Drain messages raised: %r", "secret")

    assert len(told(caplog)) == 2
    assert "secret" not in str(told(caplog))


def test_chatter_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("faust.agents").info("Starting...")

    assert told(caplog) == []


def test_asyncio_s_own_text_is_never_told(caplog: pytest.LogCaptureFixture) -> None:
    # It writes reprs of tasks and errors into the line itself.
    logging.getLogger("asyncio").error("Task exception: ValueError('secret')")

    assert len(told(caplog)) == 1
    assert "secret" not in str(told(caplog))


def test_nothing_goes_past_it() -> None:
    for name in ("faust", "mode", "aiokafka", "asyncio", "streams.processors.transport"):
        assert not logging.getLogger(name).propagate
