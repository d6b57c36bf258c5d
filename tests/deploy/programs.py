"""Programs that no Python package brings, or that only the extra `check` brings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]


def need(name: str, how_to_get_it: str) -> str:
    """Return the path of a program; where it is missing, skip loudly, and fail in CI."""
    found = shutil.which(
        name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if found is None:
        not_tested(f"{name} is not installed ({how_to_get_it})")
    return found


def not_tested(why: str) -> NoReturn:
    """Skip, as on a laptop without Go or Prometheus; in CI that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"NOT TESTED, and in CI everything is: {why}")
    pytest.skip(f"NOT TESTED: {why}")


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it said; its exit status is the caller's matter."""
    words: Sequence[str] = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)
