from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from streams.broker.jars import Jar, fetch_jars, kafka_version, locked_jars
from streams.broker.ports import free_ports
from streams.errors import EmbeddedBrokerError

CONTENT = b"what was locked"
JAR = Jar("org.example", "thing", "1.2", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture
def maven_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the jar in an empty local Maven repository, with the network cut off."""
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_ports(1)[0]}")
    folder = tmp_path / "m2" / "org" / "example" / "thing" / "1.2"
    folder.mkdir(parents=True)
    return folder


def test_the_lock_names_one_kafka_and_no_server() -> None:
    jars = locked_jars()

    assert kafka_version(jars) == "4.4.0"
    assert {jar.version for jar in jars if jar.group == "org.apache.kafka"} == {"4.4.0"}
    assert len({jar.file_name for jar in jars}) == len(jars) == 45
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in jars)
    assert not any("/" in str(jar) for jar in jars)


def test_a_jar_of_the_local_repository_is_taken_and_left_there(
    tmp_path: Path, maven_repository: Path
) -> None:
    original = maven_repository / JAR.file_name
    original.write_bytes(CONTENT)

    [path] = fetch_jars([JAR], tmp_path / "cache")

    assert path == tmp_path / "cache" / JAR.file_name
    assert path.read_bytes() == original.read_bytes() == CONTENT


def test_a_jar_in_the_cache_needs_neither_network_nor_jgo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jgo.maven", None)
    (tmp_path / JAR.file_name).write_bytes(CONTENT)

    assert fetch_jars([JAR], tmp_path) == [tmp_path / JAR.file_name]


def test_a_tampered_jar_in_the_cache_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / JAR.file_name).write_bytes(b"what was lockeD")

    with pytest.raises(EmbeddedBrokerError, match=r"org\.example:thing:1\.2 is not the jar"):
        fetch_jars([JAR], tmp_path)


def test_a_wrong_download_is_refused_and_not_kept(tmp_path: Path, maven_repository: Path) -> None:
    (maven_repository / JAR.file_name).write_bytes(b"what was lockeD")
    cache = tmp_path / "cache"

    with pytest.raises(EmbeddedBrokerError, match=r"org\.example:thing:1\.2 is not the jar"):
        fetch_jars([JAR], cache)

    assert list(cache.iterdir()) == []


@pytest.mark.usefixtures("maven_repository")
def test_without_a_network_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedBrokerError, match="Connect this machine to the network"):
        fetch_jars([JAR], tmp_path / "cache")


def test_without_jgo_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jgo.maven", None)

    with pytest.raises(EmbeddedBrokerError, match=r"pip install 'consent-gate\[demo\]'"):
        fetch_jars([JAR], tmp_path)
