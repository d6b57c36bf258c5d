"""
Where the demo plays: a Kafka, an installation, a gate and a worker, gone when it is over.

Gate and worker are the product as anybody runs it: ``consent-gate gate`` and ``consent-gate
worker`` in processes of their own, with one configuration file.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import yaml

from streams.broker import leash
from streams.broker.cluster import EmbeddedKafka
from streams.broker.ports import free_ports
from streams.config import LogLevel, Settings
from streams.config.loading import DEFAULT_FILE, ENVIRONMENT_PREFIX, load_settings
from streams.errors import Stop
from streams.kafka.clients import administering
from streams.kafka.topics import apply
from streams.sealing.secrets_folder import init_secrets

_READY_WITHIN_SECONDS: Final = 120.0
_STOP_WITHIN_SECONDS: Final = 10.0
_LINES_OF_LOG_SHOWN: Final = 15

_COMMAND: Final = "from streams.cli.main import main; main()"

# The gate is asked directly: a web proxy knows nothing of loopback.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Stage:
    """
    A running installation. ``check`` raises when a part of it has ended.

    ``config`` is the configuration file of gate and worker, ``logs`` is what each of them says,
    ``gate_url`` and ``worker_url`` are where they serve.
    """

    settings: Settings
    config: Path
    logs: tuple[Path, ...]
    gate_url: str
    worker_url: str
    check: Callable[[], None]


@contextmanager
def staged(
    tell: Callable[[str], None],
    *,
    partitions: int = 4,
    log_level: LogLevel = LogLevel.INFO,
) -> Iterator[Stage]:
    """
    Start everything, and end and remove it all at the end of the block.

    ``tell`` hears of each step. Blocks about 8 s, longer the first time on a machine, when Kafka is
    downloaded. Should this process be killed, Kafka, gate and worker end within seconds too.

    Raises :class:`streams.errors.Stop` when a part cannot be started.
    """
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="consent-gate-demo-")).resolve()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        tell("starting Apache Kafka")
        kafka = stack.enter_context(EmbeddedKafka())
        tell("making keys and topics")
        settings = _installed(folder, kafka.bootstrap_servers, partitions, log_level)
        with administering(settings) as admin:
            apply(settings, admin)
        tell("starting a gate and a worker")
        gate = _Service("gate", settings.http_port, settings, folder)
        worker = _Service("worker", settings.worker_http_port, settings, folder)
        for service in (gate, worker):
            stack.enter_context(_running(service))

        def check() -> None:
            kafka.check_running()
            gate.check()
            worker.check()

        gate.await_ready()
        worker.await_ready()
        logs = (gate.log, worker.log)
        yield Stage(settings, folder / DEFAULT_FILE, logs, gate.url, worker.url, check)


def _installed(
    folder: Path, bootstrap_servers: str, partitions: int, log_level: LogLevel
) -> Settings:
    """Make keys and a configuration file."""
    secrets_dir = folder / "secrets"
    init_secrets(secrets_dir)
    gate_port, worker_port = free_ports(2)
    values = {
        "bootstrap_servers": bootstrap_servers,
        "partitions": partitions,
        "instance_id": "demo",
        "state_dir": str(folder / "state"),
        "secrets_dir": str(secrets_dir),
        "http_port": gate_port,
        "worker_http_port": worker_port,
        "log_level": log_level.value,
    }
    (folder / DEFAULT_FILE).write_text(yaml.safe_dump(values), encoding="utf-8")
    # Read back without the environment: nothing that is set outside reaches the demo.
    return load_settings(folder / DEFAULT_FILE, environ={})


class _Service:
    """A gate or a worker in a process of its own, on the leash that ends it with this process."""

    def __init__(self, command: str, port: int, settings: Settings, folder: Path) -> None:
        self.log = folder / f"{command}.log"
        self.url = f"http://{settings.http_host}:{port}"
        self._command = command
        self._folder = folder
        self._leash: subprocess.Popen[str] | None = None
        self._pid = 0

    def start(self) -> None:
        hold = [sys.executable, "-I", "-S", leash.__file__, str(self.log), str(self._folder)]
        config = str(self._folder / DEFAULT_FILE)
        command = [sys.executable, "-P", "-c", _COMMAND, "--config", config, self._command]
        environ = {k: v for k, v in os.environ.items() if not k.startswith(ENVIRONMENT_PREFIX)}
        self._leash = subprocess.Popen(  # noqa: S603 - the command is our own
            [*hold, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
            # A Ctrl-C on the terminal is for our process alone, which then ends this one.
            start_new_session=True,
        )
        line = self._leash.stdout.readline() if self._leash.stdout else ""
        self._pid = int(line) if line else 0

    def check(self) -> None:
        """Raise if it has ended."""
        if self._leash is None or self._leash.poll() is not None:
            raise Stop(
                f"The {self._command} has ended. The end of what it said:\n{self._log_tail()}"
            )

    def await_ready(self) -> None:
        """Wait until it works."""
        deadline = time.monotonic() + _READY_WITHIN_SECONDS
        while not self._ready():
            self.check()
            if time.monotonic() > deadline:
                raise Stop(
                    f"The {self._command} was not ready within {_READY_WITHIN_SECONDS:.0f} s. The "
                    f"end of what it said:\n{self._log_tail()}"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """End it: SIGTERM, and after 10 s SIGKILL."""
        if self._leash is None:
            return
        with self._leash as held:  # closes the pipes, at which the leash would end it too
            if held.poll() is None and self._pid:
                self._signal(signal.SIGTERM)
                try:
                    held.wait(_STOP_WITHIN_SECONDS)
                except subprocess.TimeoutExpired:
                    self._signal(signal.SIGKILL)
        self._leash = None

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._pid, number)

    def _ready(self) -> bool:
        try:
            with _OPENER.open(f"{self.url}/readyz", timeout=2) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False  # it does not listen yet

    def _log_tail(self) -> str:
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        return "\n".join(f"  {line}" for line in lines[-_LINES_OF_LOG_SHOWN:])


@contextmanager
def _running(service: _Service) -> Iterator[None]:
    try:
        service.start()
        yield
    finally:
        service.stop()
