"""
The jars of Apache Kafka, fetched once per user and checked by SHA-256 before every start.

``jars.lock`` lists them with coordinates, checksum and size, and no server address: jgo knows Maven
Central, and takes a mirror from its own settings file. It resolves one artifact at a time here;
its transitive resolver picks kafka-clients 3.8.0 for Kafka 4.4.0, so the closure is locked.

To lock another version: write a ``pom.xml`` whose only dependencies are
``org.apache.kafka:kafka_2.13:VERSION`` and ``org.apache.logging.log4j:log4j-slf4j-impl`` in the
version of log4j that Kafka asks for, run ``mvn dependency:list -DincludeScope=runtime`` and
``mvn dependency:copy-dependencies -DincludeScope=runtime``, and write a line for each jar:
``sha256sum``, size in bytes, ``group:artifact:version``.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import platformdirs
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from streams.errors import EmbeddedBrokerError

_DOWNLOADS_AT_ONCE = 4  # more gains nothing on 45 small files and looks rude to the server
_REQUEST_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of ``jars.lock``."""

    group: str
    artifact: str
    version: str
    sha256: str
    size: int
    """In bytes."""

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def locked_jars() -> tuple[Jar, ...]:
    """Return every jar the embedded Kafka runs on, in the order of ``jars.lock``."""
    text = (files("streams.broker") / "jars.lock").read_text(encoding="utf-8")
    return tuple(_parsed(text))


def kafka_version(jars: Sequence[Jar]) -> str:
    """Return the version of Kafka that these jars are, such as ``4.4.0``."""
    return next(jar.version for jar in jars if jar.artifact == "kafka_2.13")


def fetch_jars(jars: Sequence[Jar], cache_folder: Path | None = None) -> list[Path]:
    """
    Return the paths of ``jars``, all present and equal to their checksums.

    What is missing is taken from the user's local Maven repository or downloaded, which blocks,
    with a progress bar on stderr. What is there is read whole and checked each time (43 MB, 0.1 s).
    A download is moved into the cache only when its checksum is right, so that an interrupted run
    leaves nothing half-written there and several runs may fetch at once.

    ``cache_folder`` is the user's cache folder for this package unless told.

    Raises EmbeddedBrokerError: a checksum is wrong, a jar cannot be had, or jgo is not installed.
    """
    folder = cache_folder or platformdirs.user_cache_path("consent-gate") / "jars"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedBrokerError(
            f"The folder for Kafka's jars cannot be made: {folder}: {error.strerror}."
        ) from error
    missing = [jar for jar in jars if not (folder / jar.file_name).is_file()]
    for jar in jars:
        if jar not in missing:
            _refuse_wrong_checksum(jar, folder / jar.file_name)
    if missing:
        _fetch_missing(missing, folder)
    return [folder / jar.file_name for jar in jars]


def _parsed(text: str) -> Iterator[Jar]:
    for line in text.splitlines():
        if line and not line.startswith("#"):
            sha256, size, coordinates = line.split()
            group, artifact, version = coordinates.split(":")
            yield Jar(group, artifact, version, sha256, int(size))


def _refuse_wrong_checksum(jar: Jar, path: Path) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != jar.sha256:
        raise EmbeddedBrokerError(
            f"{jar} is not the jar that was locked, and is refused.\n"
            f"Its SHA-256 is {found},\nlocked is         {jar.sha256}.\n"
            f"Find out who changed {path}, remove it, and start again."
        )


def _fetch_missing(missing: Sequence[Jar], folder: Path) -> None:
    """Fetch ``missing`` into ``folder``, several at once, or raise for the first that fails."""
    progress = Progress(
        TextColumn("[bold]Fetching Apache Kafka (once per user)"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with (
        tempfile.TemporaryDirectory(prefix="fetching-", dir=folder) as staging,
        progress,
    ):
        bar = progress.add_task("", total=sum(jar.size for jar in missing))

        def fetch(jar: Jar) -> None:
            fetched = _fetched(jar, Path(staging), lambda count: progress.advance(bar, count))
            _refuse_wrong_checksum(jar, fetched)
            fetched.replace(folder / jar.file_name)

        with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
            downloads = [pool.submit(fetch, jar) for jar in missing]
            try:
                for download in downloads:
                    download.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _fetched(jar: Jar, staging: Path, report_bytes: Callable[[int], None]) -> Path:
    """Return the path in ``staging`` of ``jar``, unverified; each count of bytes is reported."""
    try:
        from jgo.config import GlobalSettings
        from jgo.constants import MAVEN_CENTRAL_URL, default_maven_repo
        from jgo.maven import MavenContext, PythonResolver
    except ImportError as error:
        raise EmbeddedBrokerError(
            "The embedded Kafka needs the extra `demo`: pip install 'consent-gate[demo]'."
        ) from error

    @contextmanager
    def reporting(_name: str, _size: int) -> Iterator[Callable[[int], None]]:
        yield report_bytes

    context = MavenContext(
        resolver=PythonResolver(progress_callback=reporting),
        repo_cache=staging,
        local_repos=[default_maven_repo()],
        remote_repos={**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL},
        timeout=_REQUEST_TIMEOUT_SECONDS,
    )
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    try:
        found: Path = artifact.resolve()
    except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
        raise EmbeddedBrokerError(
            f"{jar} cannot be fetched ({type(error).__name__}).\n"
            "The first start of the embedded Kafka downloads 43 MB from Maven Central. Connect this"
            " machine to the network, set HTTPS_PROXY, or name a mirror under [repositories] in"
            " ~/.config/jgo.conf; then start again. Later starts need no network."
        ) from error
    if not found.is_relative_to(staging):  # the user's own repository: copied, never moved
        copy = staging / jar.file_name
        shutil.copyfile(found, copy)
        report_bytes(jar.size)
        return copy
    return found
