"""The leash with a harmless command in place of the JVM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streams.broker import leash
from tests.broker.waiting import eventually, is_gone

# A parent that starts a leash, forks when told to, says whose ids are whose, and waits.
PARENT = """
import os, subprocess, sys, time
mode, *command = sys.argv[1:]
held = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
pid = held.stdout.readline().strip()
child = os.fork() if mode == "fork" else 0
if mode == "fork" and child == 0:
    os.close(1)
    time.sleep(600)
print(pid, child, flush=True)
time.sleep(600)
"""


def started_parent(
    mode: str, folder: Path, *command: str
) -> tuple[subprocess.Popen[str], int, int]:
    """Start PARENT; return it, the id of what the leash runs, and the id of its forked child."""
    hold = [sys.executable, "-I", "-S", leash.__file__, str(folder.parent / "log"), str(folder)]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, mode, *hold, *command], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid, child = parent.stdout.readline().split()
    return parent, int(pid), int(child)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    (folder / "broker-1").mkdir(parents=True)
    return folder


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_ends_with_its_parent_and_removes_the_folder(folder: Path, number: signal.Signals) -> None:
    parent, pid, _ = started_parent("plain", folder, "sleep", "600")
    with parent:
        parent.send_signal(number)

    eventually(lambda: is_gone(pid), 60, "the command ended")
    eventually(lambda: not folder.exists(), 60, "the folder was removed")


def test_a_forked_child_of_the_parent_does_not_keep_it_alive(folder: Path) -> None:
    parent, pid, child = started_parent("fork", folder, "sleep", "600")
    try:
        with parent:
            parent.kill()

        eventually(lambda: is_gone(pid), 60, "the command ended")
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_paused_command_that_ignores_sigterm_ends_all_the_same(folder: Path) -> None:
    ignoring = "trap '' TERM; while :; do sleep 1; done"
    parent, pid, _ = started_parent("plain", folder, "sh", "-c", ignoring)
    os.kill(pid, signal.SIGSTOP)
    with parent:
        parent.kill()

    eventually(lambda: is_gone(pid), leash.GRACE_SECONDS + 60, "the command ended")


def test_hands_on_the_status_and_the_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    hold = [sys.executable, "-I", "-S", leash.__file__, str(log), ""]
    command = ["sh", "-c", "echo said; kill -9 $$"]

    with subprocess.Popen(
        [*hold, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        status = process.wait(60)

    assert log.read_text() == "said\n"
    assert status == 128 + signal.SIGKILL
