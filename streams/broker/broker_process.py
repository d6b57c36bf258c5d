"""One broker: its folder, its JVM on its leash, and the signals sent to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from streams.broker.server_properties import BrokerAddress, properties_text
from streams.errors import EmbeddedBrokerError

_LEASH = Path(__file__).with_name("leash.py")

_JVM_FLAGS = (
    "-Xms128m",
    "-Xmx512m",
    # Measured on two cores shared with the clients, 1,500,000 messages through transactions of
    # 10,000: the same 97,000/s with and without the optimising compiler and with G1, for 6.4 s of
    # CPU instead of 11.0 and 10.6, and a start that is half a second shorter.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
)

_FORMAT_WITHIN_SECONDS = 60
_LINES_OF_LOG_SHOWN = 15


class BrokerProcess:
    """
    One broker of an embedded cluster. For one thread at a time.

    The JVM's parent is the leash (``leash.py``), a small Python process that ends it when this
    process dies. The leash ends when its JVM does, so its end is the JVM's.
    """

    def __init__(
        self,
        java: Path,
        jars: Sequence[Path],
        address: BrokerAddress,
        properties: dict[str, str],
        folder: Path,
        doomed_folder: Path | None,
    ) -> None:
        """
        Write the broker's configuration into ``folder``, an absolute path; start nothing.

        ``doomed_folder`` is removed by the leash should this process die before the broker ends.
        """
        self.address = address
        self.log_path = folder / "server.log"
        self._folder = folder
        self._properties_path = folder / "server.properties"
        self._meta_path = Path(properties["log.dirs"]) / "meta.properties"
        self._doomed_folder = doomed_folder
        logging = files("streams.broker") / "log4j2.properties"
        self._command: list[str] = [
            str(java),
            *_JVM_FLAGS,
            f"-Dlog4j2.configurationFile={logging}",
            "-cp",
            os.pathsep.join(map(str, jars)),
        ]
        self._leash: subprocess.Popen[str] | None = None
        self._pid = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._properties_path.write_text(properties_text(properties), encoding="ascii")

    def format(self, cluster_id: str) -> None:
        """
        Format the storage with Kafka's own tool, unless that was done before. Blocks 0.7 s.

        A hand-written `meta.properties` would start too, but without the tool's record of feature
        levels Kafka 4.4 then runs with `metadata.version` 7 (3.3) and transactions of version 0.
        """
        if self._meta_path.exists():
            return
        tool = ["kafka.tools.StorageTool", "format", "-t", cluster_id]
        tool += ["-c", str(self._properties_path)]
        with self.log_path.open("ab") as log:
            try:
                subprocess.run(  # noqa: S603 - the command is our own
                    [*self._command, *tool],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    check=True,
                    timeout=_FORMAT_WITHIN_SECONDS,
                )
            except (OSError, subprocess.SubprocessError) as error:
                raise EmbeddedBrokerError(
                    f"The storage of the embedded Kafka could not be formatted.\n{self.log_tail()}"
                ) from error

    def start(self) -> None:
        """Start the JVM; it is not ready yet. The broker must not be running."""
        doomed = str(self._doomed_folder or "")
        hold = [sys.executable, "-I", "-S", str(_LEASH), str(self.log_path), doomed]
        kafka = ["kafka.Kafka", str(self._properties_path)]
        with self.log_path.open("ab") as log:
            leash = subprocess.Popen(  # noqa: S603 - the command is our own
                [*hold, *self._command, *kafka],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self._folder,  # where a JVM that crashes leaves its report
                # A Ctrl-C on the terminal is for our process alone, which then ends the broker.
                start_new_session=True,
            )
        self._leash = leash
        line = leash.stdout.readline() if leash.stdout else ""
        if not line:
            self._forget(leash)
            raise EmbeddedBrokerError(f"The embedded Kafka did not start.\n{self.log_tail()}")
        self._pid = int(line)

    @property
    def pid(self) -> int | None:
        """The JVM's process id while it runs, else None."""
        if self._leash is None or self._leash.poll() is not None:
            return None
        return self._pid

    @property
    def failed(self) -> bool:
        """Whether it was started and has ended although nobody here ended it."""
        return self._leash is not None and self._leash.poll() is not None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the JVM, if it runs. Does not wait."""
        if (pid := self.pid) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def await_end(self, within_seconds: float) -> None:
        """
        Wait for the JVM's end and clean up after it; kill it when the time is over.

        Blocks for as long, and after a kill until the JVM is gone.
        """
        if (leash := self._leash) is None:
            return
        try:
            leash.wait(within_seconds)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
        self._forget(leash)

    def log_tail(self) -> str:
        """Return the end of the broker's log, and where the log is if it stays, for an error."""
        try:
            text = self.log_path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        # Without the frames of Java's stack traces, which push the causes out of sight.
        lines = [line for line in text.splitlines() if not line.startswith("\tat ")]
        name = self.log_path if self._doomed_folder is None else "its log"
        return "\n".join([f"The end of {name}:", *(f"  {x}" for x in lines[-_LINES_OF_LOG_SHOWN:])])

    def _forget(self, leash: subprocess.Popen[str]) -> None:
        """
        Reap the leash. Should the leash have been killed, kill the JVM that it left behind.

        Its pipe stays open until it has ended: a leash that sees the pipe's end takes this process
        for dead, and removes the folder in which the other brokers have their data.
        """
        leash.wait()
        with leash:  # closes the pipes
            pass
        if leash.returncode == -signal.SIGKILL and self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        self._leash = None
        self._pid = 0
