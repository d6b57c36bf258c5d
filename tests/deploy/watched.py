"""Gate and worker in processes of their own, and a real Prometheus that scrapes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from streams.broker.ports import free_ports
from streams.config import Settings
from tests.deploy.programs import ROOT
from tests.gate.bed import wait_for

_STOP_SECONDS = 60
_DAY_SECONDS = 240
"""It takes 10 s on an idle machine, and two minutes on one that does seven other things."""
_CONSENT_GATE = [sys.executable, "-c", "from streams.cli.main import main; main()"]


class Prometheus:
    """The HTTP API of a running Prometheus."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of one answer of the API. Raises OSError if it is none."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        with urlopen(f"{self._url}/api/v1/{path}{query}", timeout=60) as answer:
            return json.load(answer)["data"]

    def values(self, expr: str) -> list[float]:
        """Return the value of every series that an expression gives now; NaN is no value."""
        found = [float(series["value"][1]) for series in self.get("query", query=expr)["result"]]
        return [value for value in found if value == value]

    def is_up(self) -> bool:
        """Whether it answers."""
        try:
            with urlopen(f"{self._url}/-/ready", timeout=10):
                return True
        except OSError:
            return False


@contextmanager
def processes(settings: Settings, gate_port: int, worker_port: int, folder: Path) -> Iterator[Path]:
    """
    Run `consent-gate gate` and `consent-gate worker` until the block ends, with these ports.

    Yields their configuration file.
    """
    names = ("bootstrap_servers", "topic_prefix", "partitions", "state_dir", "secrets_dir")
    written = {name: getattr(settings, name) for name in names}
    written |= {"http_port": gate_port, "worker_http_port": worker_port, "instance_id": "one"}
    plain = {name: str(it) if isinstance(it, Path) else it for name, it in written.items()}
    config = folder / "consent-gate.yaml"
    config.write_text(yaml.safe_dump(plain))
    command = [*_CONSENT_GATE, "--config", str(config)]
    with (
        _running([*command, "gate"], folder / "gate.log"),
        _running([*command, "worker"], folder / "worker.log"),
    ):
        yield config


def play_a_day(config: Path, requests: int) -> None:
    """Play the demo's day, as the compose stack's player does; all that it checks must hold."""
    stack = yaml.safe_load(config.read_text())["bootstrap_servers"]
    demo = ["demo", "--bootstrap-servers", stack, "--requests", str(requests)]
    played = subprocess.run(
        [*_CONSENT_GATE, "--config", str(config), *demo],
        env=_clean_environment(),
        capture_output=True,
        text=True,
        timeout=_DAY_SECONDS,
        check=False,
    )
    assert played.returncode == 0, played.stdout + played.stderr


@contextmanager
def a_prometheus(
    program: str, gate_port: int, worker_port: int, folder: Path
) -> Iterator[Prometheus]:
    """Run Prometheus with the project's own configuration, but one gate and a quicker clock."""
    [port] = free_ports(1)
    deployed = ROOT / "deploy" / "prometheus"
    rules = yaml.safe_load((deployed / "alerts.yml").read_text())
    for group in rules["groups"]:
        group.pop("interval", None)
    (folder / "alerts.yml").write_text(yaml.safe_dump(rules))
    config = yaml.safe_load((deployed / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    for job, its_port in zip(config["scrape_configs"], (gate_port, worker_port), strict=True):
        job["static_configs"][0]["targets"] = [f"127.0.0.1:{its_port}"]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with _running(command, folder / "prometheus.log") as process:
        prometheus = Prometheus(f"http://127.0.0.1:{port}")

        def answers() -> bool:
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            return prometheus.is_up()

        wait_for(answers, what="for Prometheus to answer")
        yield prometheus


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=_clean_environment(), stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _clean_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("CONSENT_GATE_")}
