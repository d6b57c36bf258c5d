"""The wheel as a company installs it: away from the checkout, with the locked packages only."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import need_embedded_kafka

ROOT = Path(__file__).parents[2]
WITHIN_SECONDS = 280


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("consent_gate-*.whl")
    return built


Run = Callable[..., str]


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Install it as the README says, and return what runs its programs in an empty folder."""
    home = tmp_path_factory.mktemp("installed")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    # A path to a tree would put that in the place of what is installed.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(program: str, *arguments: str) -> str:
        return subprocess.run(
            [str(home / "bin" / program), *arguments],
            cwd=elsewhere,
            env=environ,
            check=True,
            capture_output=True,
            text=True,
            timeout=WITHIN_SECONDS,
        ).stdout

    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    core = str(ROOT / "requirements" / "core.txt")
    run("pip", "install", "--quiet", "--require-hashes", "-r", core)
    run("pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    return run


def test_it_holds_all_that_the_package_reads_at_run_time(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        shipped = set(archive.namelist())

    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "streams").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    data = {
        f"streams/_data/{path.relative_to(ROOT)}"
        for folder in ("schemas", "policies", "keywords")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    assert not (package | data) - shipped


def test_it_holds_no_tests_and_no_tools(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        roots = {name.split("/")[0] for name in archive.namelist()}

    assert {root for root in roots if not root.endswith(".dist-info")} == {"streams"}


@pytest.mark.slow
@pytest.mark.timeout(600)  # with the installation, which took 85 s on a busy machine
def test_it_runs_without_the_demo_s_packages(installed: Run) -> None:
    assert installed("consent-gate", "--version").startswith("consent-gate ")
    assert "gate" in installed("consent-gate", "--help")


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["schemas", "policies"])
def test_its_schemas_and_policies_are_found(installed: Run, folder: str) -> None:
    found = installed(
        "python",
        "-c",
        "from streams.resources import data_dir; import sys; print(data_dir(sys.argv[1]))",
        folder,
    ).strip()

    assert found.endswith(f"site-packages/streams/_data/{folder}")
    assert any(Path(found).iterdir())


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_the_demo_plays_from_it(installed: Run) -> None:
    need_embedded_kafka()
    # Last in this file: from here on the extra is there for the tests that share the installation.
    demo = str(ROOT / "requirements" / "demo.txt")
    installed("pip", "install", "--quiet", "--require-hashes", "-r", demo)

    installed("consent-gate", "demo", "--requests", "1000")  # a broken invariant is an exit status
