"""No phone number and no foreign error's text leaves through the log (guarantee I7)."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from confluent_kafka import Producer
from hypothesis import given
from hypothesis import strategies as st

from streams.config import LogLevel
from streams.errors import ConfigError
from streams.telemetry.logs import KAFKA_LOGGER, configure_logging, get_logger
from streams.telemetry.redaction import REDACTED, redact

Lines = Callable[[], list[dict[str, Any]]]
NUMBER = "+8613812345678"
DIGITS = "13812345678"


@pytest.mark.parametrize(
    "text",
    [
        NUMBER,
        f"to {NUMBER}, please",
        "to +86 138 1234 5678",
        "to +86-138-1234-5678",
        "to +1 (415) 555-2671",
        "GET /x?to=%2B8613812345678",
        "to \uff0b8613812345678",
        "+2907420",
        repr(NUMBER.encode()),
    ],
)
def test_what_looks_like_a_number_is_taken_out(text: str) -> None:
    redacted = redact(text)

    assert REDACTED in redacted
    assert not any(character.isdigit() for character in redacted.replace("%2B", ""))


@given(
    country=st.integers(1, 9), rest=st.text("0123456789", min_size=5, max_size=14), around=st.text()
)
def test_every_e164_number_in_use_is_taken_out(country: int, rest: str, around: str) -> None:
    assert f"{country}{rest}" not in redact(f"{around} +{country}{rest} end")


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T06:07:17.865998+10:00",
        "offset 1795500437866 of sms.requested",
        "partition 3, 100000 records",
        "version 3fa9c1e288aa77bb1122",
        "1.5e+06",
    ],
)
def test_offsets_times_and_hashes_are_left_alone(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "fields",
    [
        {"field": NUMBER},
        {"field": {"deep": [("x", NUMBER)]}},
        {"field": {NUMBER: 1}},
        {"field": NUMBER.encode()},
        {NUMBER: 1},
        {"field": io.StringIO},
    ],
)
def test_no_value_key_or_nested_value_of_a_line_shows_a_number(
    fields: dict[str, Any], lines: Lines, stderr: io.StringIO
) -> None:
    get_logger().warning(f"sent to {NUMBER}", **fields)

    assert DIGITS not in stderr.getvalue()
    assert lines()[0]["event"] == f"sent to {REDACTED}"


def test_every_way_of_logging_ends_in_the_same_line(lines: Lines) -> None:
    get_logger().info("one", count=1)
    structlog.get_logger("two").info("two", count=2)
    logging.getLogger("three").info("three %s", NUMBER)

    told = lines()
    assert [line["event"] for line in told] == ["one", "two", f"three {REDACTED}"]
    assert all(list(line)[:4] == ["timestamp", "level", "event", "logger"] for line in told)
    assert all(line["level"] == "info" for line in told)


def test_a_foreign_error_is_told_by_class_and_place_only(lines: Lines, stderr: io.StringIO) -> None:
    try:
        int("Zhang San")
    except ValueError:
        get_logger().exception("step_failed")
    (line,) = lines()

    assert line["error"] == "ValueError"
    assert line["place"].startswith(f"{__name__}:")
    assert "Zhang" not in stderr.getvalue()
    assert "Traceback" not in stderr.getvalue()


def test_an_error_of_ours_is_told_with_its_text_and_what_caused_it(
    lines: Lines, stderr: io.StringIO
) -> None:
    try:
        try:
            raise OSError("Zhang San")
        except OSError as error:
            raise ConfigError("http_port: taken") from error
    except ConfigError as error:
        get_logger().error("stopped", problem=error)  # as a value, as if by mistake
    (line,) = lines()

    told = line["problem"]
    assert (told["error"], told["text"]) == ("ConfigError", "http_port: taken")
    assert told["causes"] == ["OSError"]
    assert "Zhang" not in stderr.getvalue()


def test_an_error_that_a_library_logs_is_not_quoted(lines: Lines, stderr: io.StringIO) -> None:
    try:
        raise KeyError("Zhang San")
    except KeyError:
        logging.getLogger("library").exception("it failed")

    assert lines()[0]["error"] == "KeyError"
    assert "Zhang" not in stderr.getvalue()


def test_a_line_that_cannot_be_formatted_quotes_nothing(
    lines: Lines, stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    ours = [handler for handler in root.handlers if type(handler).__module__.startswith("streams")]
    monkeypatch.setattr(root, "handlers", ours)  # pytest's own raise what they cannot format

    logging.getLogger("library").warning("%d of them", "Zhang San")

    assert lines() == [{"event": "log_line_lost", "logger": "library"}]
    assert "Zhang" not in stderr.getvalue()


def test_an_error_that_nobody_caught_is_told_like_any_other(
    lines: Lines, stderr: io.StringIO
) -> None:
    def fail() -> None:
        raise ValueError("Zhang San")

    thread = threading.Thread(target=fail, name="loop")
    thread.start()
    thread.join()
    error = RuntimeError("Zhang San")
    sys.excepthook(RuntimeError, error, None)

    in_thread, in_main = lines()
    assert (in_thread["error"], in_thread["thread"]) == ("ValueError", "loop")
    assert in_main["error"] == "RuntimeError"
    assert "Zhang" not in stderr.getvalue()


def test_a_warning_is_a_line(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn(f"odd {NUMBER}", UserWarning, stacklevel=1)
        logging.captureWarnings(False)

    assert lines()[0]["logger"] == "py.warnings"
    assert REDACTED in lines()[0]["event"]


def test_what_is_below_the_level_is_not_written(
    stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stderr)  # pytest put its own back
    configure_logging(LogLevel.WARNING)

    get_logger().info("quiet")
    logging.getLogger("library").info("quiet")
    get_logger().warning("loud")

    assert "loud" in stderr.getvalue()
    assert "quiet" not in stderr.getvalue()


def test_configuring_twice_writes_each_line_once(
    lines: Lines, stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stderr)  # pytest put its own back
    configure_logging(LogLevel.INFO)

    get_logger().info("once")

    assert len(lines()) == 1


def test_a_terminal_gets_readable_lines_without_numbers_or_foreign_texts(
    stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stderr)  # pytest put its own back
    configure_logging(LogLevel.INFO)

    try:
        raise ValueError("Zhang San")
    except ValueError:
        get_logger().exception("sent", to=NUMBER, local=[NUMBER])

    told = stderr.getvalue()
    with pytest.raises(json.JSONDecodeError):
        json.loads(told)
    assert told.count(REDACTED) == 2
    assert DIGITS not in told
    assert "Zhang" not in told
    assert "Traceback" not in told


def test_librdkafka_s_own_messages_are_lines(lines: Lines) -> None:
    """Nothing listens on the discard port: the client says so through the logger it was given."""
    producer = Producer(
        {"bootstrap.servers": "127.0.0.1:9"}, logger=logging.getLogger(KAFKA_LOGGER)
    )

    deadline = time.monotonic() + 60
    while not lines() and time.monotonic() < deadline:
        producer.poll(0.1)

    assert lines()[0]["logger"] == KAFKA_LOGGER
    assert "127.0.0.1:9" in lines()[0]["event"]
