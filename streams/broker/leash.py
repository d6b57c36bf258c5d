"""
Runs one JVM and never lets it outlive the process that asked for it.

Started as a script of its own, by path, with the standard library only, so that it is up in some
30 ms. It holds the reading end of a pipe whose writing end its parent has: when the parent dies, in
whatever way, the pipe ends. A copy of the writing end in a forked child of the parent would keep it
open, so the parent's id is watched as well. (PR_SET_PDEATHSIG is for Linux only, and it fires when
the *thread* ends that started the process.)

Arguments: the file that takes the JVM's output; a folder to remove should the parent die, or an
empty string; the command. The first line on stdout is the JVM's process id. The exit status is the
JVM's, 128 + n when signal n ended it.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 3.0
"""What an orphaned broker gets between SIGTERM and SIGKILL: a lone one closes its log in 0.3 s."""

_PARENT_CHECK_SECONDS = 0.5


def main(arguments: list[str]) -> int:
    """Run the command until it ends or the parent is gone; return the exit status for the shell."""
    parent = os.getppid()
    log, doomed_folder, *command = arguments
    # A handler, not SIG_IGN: that would be inherited, and a JVM that starts with SIGTERM ignored
    # cannot be stopped by it. Only the end of the pipe and of the JVM end this process.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    with open(log, "ab") as output:  # noqa: PTH123 - pathlib would double this process's start
        jvm = subprocess.Popen(  # noqa: S603 - the command is our own
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    print(jvm.pid, flush=True)
    orphaned = threading.Event()
    threading.Thread(target=_end_with_parent, args=(parent, jvm, orphaned), daemon=True).start()
    status = jvm.wait()
    if orphaned.is_set() and doomed_folder:
        shutil.rmtree(doomed_folder, ignore_errors=True)
    return status if status >= 0 else 128 - status


def _end_with_parent(parent: int, jvm: subprocess.Popen[bytes], orphaned: threading.Event) -> None:
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], _PARENT_CHECK_SECONDS)
        if readable and not os.read(0, 1):
            break
    orphaned.set()
    jvm.send_signal(signal.SIGCONT)  # it may be paused, and a paused process takes no SIGTERM
    jvm.terminate()
    try:
        jvm.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        jvm.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
