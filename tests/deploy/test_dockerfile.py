"""The Dockerfile, as far as it can be tried without a Docker engine."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from streams.telemetry.health import Health
from streams.telemetry.http import TelemetryServer
from streams.telemetry.telemetry import Telemetry
from tests.deploy.programs import ROOT, need, not_tested, run

DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"


def instructions() -> Iterator[tuple[str, str]]:
    """Yield every instruction and its argument, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if line.strip():
            word, _, argument = line.strip().partition(" ")
            yield word.upper(), argument


def arguments(instruction: str) -> list[str]:
    """Return the arguments of every instruction of one kind."""
    return [argument for word, argument in instructions() if word == instruction]


def copied() -> list[str]:
    """Return what is copied from the repository, not from another stage."""
    return [
        source
        for argument in arguments("COPY")
        if not argument.startswith("--from")
        for source in argument.split()[:-1]
    ]


def test_hadolint_finds_nothing() -> None:
    hadolint = need("hadolint", "the extra check: `make check`")
    linted = run(hadolint, DOCKERFILE)
    assert linted.returncode == 0, linted.stdout


def test_the_base_is_pinned_to_its_patch_and_is_the_same_in_both_stages() -> None:
    bases = {argument.split()[0] for argument in arguments("FROM")}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", bases.pop())


def test_it_does_not_run_as_root() -> None:
    words = [word for word, _ in instructions()]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", arguments("USER")[-1])
    assert "RUN" not in words[words.index("USER") :]


def test_all_that_pip_installs_is_locked_or_built_here() -> None:
    installs = re.findall(r"pip install ([^&]+)", " && ".join(arguments("RUN")))
    assert installs
    for install in installs:
        locked = re.fullmatch(r"--require-hashes -r (requirements/\w+\.txt)\s*", install)
        if locked is None:
            assert re.fullmatch(r"--no-deps dist/\*\.whl\s*", install), install
        else:
            assert locked[1] in copied()


def test_nothing_is_fetched_and_no_server_is_named() -> None:
    assert not arguments("ADD")
    text = " ".join(argument for _, argument in instructions())
    assert set(re.findall(r"\w+://[^/']+", text)) <= {"http://127.0.0.1:"}
    assert "index-url" not in text


def test_what_is_copied_makes_the_wheel_with_schemas_and_policies(tmp_path: Path) -> None:
    if shutil.which("hatchling", path=str(Path(sys.executable).parent)) is None:
        not_tested("hatchling is not installed: `make test` installs it")
    for source in copied():
        assert not ignored(source), f".dockerignore keeps {source} out"
        if (ROOT / source).is_dir():
            shutil.copytree(
                ROOT / source, tmp_path / source, ignore=shutil.ignore_patterns("*.pyc")
            )
        else:
            (tmp_path / source).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / source, tmp_path / source)
    built = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    [wheel] = (tmp_path / "dist").glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("schemas", "policies", "streams"):
        place = folder if folder == "streams" else f"streams/_data/{folder}"
        files = [f for f in (ROOT / folder).rglob("*") if f.is_file() and f.suffix != ".pyc"]
        assert files
        missing = {f"{place}/{f.relative_to(ROOT / folder).as_posix()}" for f in files} - inside
        assert not missing


def test_keys_and_caches_stay_out_of_the_build() -> None:
    for path in (".git", ".venv", "secrets", "consent-gate.yaml", ".state", "tests"):
        assert ignored(path), path


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path of the repository out: the last line that fits decides."""
    out = False
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    for line in (line for line in lines if line and not line.startswith("#")):
        pattern = line.removeprefix("!")
        parts = [path, *map(str, PurePosixPath(path).parents)]
        if any(fnmatch.fnmatchcase(part, pattern) for part in parts if part != "."):
            out = not line.startswith("!")
    return out


@pytest.mark.parametrize(("alive", "status"), [(True, 0), (False, 1)])
def test_the_health_check_tells_a_living_gate_from_a_stuck_one(alive: bool, status: int) -> None:
    [check] = arguments("HEALTHCHECK")
    command = json.loads(check.split("CMD ")[1])
    assert command[0] == "python"
    telemetry = Telemetry()
    health = Health(telemetry, beat_seconds=30.0 if alive else -1.0)
    server = TelemetryServer(telemetry, health, "127.0.0.1", 0)
    try:
        environment = {**os.environ, "CONSENT_GATE_HTTP_PORT": str(server.port)}
        checked = subprocess.run(
            [sys.executable, *command[1:]],
            env=environment,
            timeout=30,
            check=False,
            capture_output=True,
        )
    finally:
        server.stop()
    assert checked.returncode == status, checked.stderr
