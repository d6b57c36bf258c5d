"""The Makefile, as far as it can be tried without installing anything."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> str:
    # Under `make test` this is a make within a make, which must not take that one's options over.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout


def test_help_is_the_default_and_lists_every_target() -> None:
    targets = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    listed = run()
    missing = [
        target
        for target in targets[0].split()
        if not re.search(rf"^  make {target} ", listed, re.M)
    ]
    assert not missing


def test_what_is_installed_already_is_not_installed_again(tmp_path: Path) -> None:
    for stamp in ("demo", "test", "check"):
        (tmp_path / "stamps").mkdir(exist_ok=True)
        (tmp_path / "stamps" / stamp).touch()

    assert "pip install" not in run("--dry-run", "demo", f"VENV={tmp_path}")


def test_a_changed_lock_is_installed_again(tmp_path: Path) -> None:
    (tmp_path / "stamps").mkdir()
    (tmp_path / "stamps" / "demo").touch()

    planned = run("--dry-run", "demo", f"VENV={tmp_path}", "--what-if=requirements/demo.txt")

    assert "pip install --require-hashes" in planned
