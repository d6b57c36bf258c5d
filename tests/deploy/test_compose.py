"""docker-compose.yml, as docker compose's own loader understands it. No engine runs here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from streams.cli.main import app
from streams.config.loading import load_settings
from tests.deploy.commands import unknown
from tests.deploy.programs import ROOT, need, run

COMPOSE = ROOT / "docker-compose.yml"
IN_CONTAINER = "/etc/consent-gate"


@pytest.fixture(scope="session")
def composecheck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The loader of docker compose, built once."""
    go = need("go", "https://go.dev, 1.24 or newer")
    program = tmp_path_factory.mktemp("composecheck") / "composecheck"
    source = ROOT / "tests" / "deploy" / "composecheck"
    built = run(go, "build", "-mod=readonly", "-buildvcs=false", "-o", program, ".", cwd=source)
    assert built.returncode == 0, built.stderr
    return program


@pytest.fixture(scope="session")
def services(composecheck: Path) -> dict[str, Any]:
    """Every service as docker compose understands it."""
    understood = run(composecheck, COMPOSE)
    assert understood.returncode == 0, understood.stderr
    return dict(json.loads(understood.stdout)["services"])


@pytest.fixture
def gates(services: dict[str, Any]) -> dict[str, Any]:
    return {name: it for name, it in services.items() if it["command"] == ["gate"]}


@pytest.mark.parametrize(
    ("written", "instead", "complaint"),
    [
        ("kafka: {condition: service_healthy}", "kafak: {condition: service_healthy}", "kafak"),
        ("- gate-1-state:/var", "- gate-3-state:/var", "gate-3-state"),
        ("service_completed_successfully", "service_completed", "condition"),
    ],
)
def test_the_loader_refuses_a_file_with_a_mistake(
    composecheck: Path, tmp_path: Path, written: str, instead: str, complaint: str
) -> None:
    text = COMPOSE.read_text()
    assert written in text
    mutated = tmp_path / "docker-compose.yml"
    mutated.write_text(text.replace(written, instead, 1))
    refused = run(composecheck, mutated)
    assert refused.returncode == 1
    assert complaint in refused.stderr


def test_images_have_exact_tags(services: dict[str, Any]) -> None:
    for name, service in services.items():
        image, _, tag = service["image"].partition(":")
        if image == "consent-gate":
            assert tag == "local", name  # built here, never pulled
        else:
            assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag), name
    assert services["kafka"]["image"] == "apache/kafka:4.4.0"
    assert [name for name, service in services.items() if "build" in service] == ["init"]


def test_ports_are_open_on_loopback_only(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    published = [port["published"] for port in ports]
    assert len(published) == len(set(published))


def test_everything_starts_after_what_it_needs(services: dict[str, Any]) -> None:
    def after(name: str) -> dict[str, str]:
        needed = services[name].get("depends_on", {})
        return {other: needed[other]["condition"] for other in needed}

    done, healthy = "service_completed_successfully", "service_healthy"
    assert after("init") == {}
    assert after("topics") == {"init": done, "kafka": healthy}
    for gate in ("gate-1", "gate-2"):
        assert after(gate) == {"init": done, "topics": done, "kafka": healthy}
    assert after("worker") == after("gate-1")
    playing = {"gate-1": healthy, "gate-2": healthy, "worker": healthy}
    assert after("player") == {**after("gate-1"), **playing}
    assert after("grafana") == {"prometheus": healthy}


def test_what_is_waited_for_has_a_health_check_of_its_own_or_of_the_image(
    services: dict[str, Any],
) -> None:
    waited_for = {
        other
        for service in services.values()
        for other, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_healthy"
    }
    for name in waited_for:
        own = services[name].get("healthcheck", {})
        assert not own.get("disable")
        assert own or services[name]["image"].startswith("consent-gate:"), name


def test_each_gate_has_a_name_and_a_state_of_its_own(gates: dict[str, Any]) -> None:
    names = {gate["environment"]["CONSENT_GATE_INSTANCE_ID"] for gate in gates.values()}
    states = {
        volume["source"]
        for gate in gates.values()
        for volume in gate["volumes"]
        if volume["target"] == "/var/lib/consent-gate"
    }
    assert names == set(gates)
    assert len(gates) == len(states) == 2


def test_consent_gate_runs_without_privileges_and_writes_its_keys_only_at_init(
    services: dict[str, Any],
) -> None:
    ours = {n: s for n, s in services.items() if s["image"].startswith("consent-gate:")}
    for name, service in ours.items():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "user" not in service, "the image's own user is not root"
        [keys] = [v for v in service["volumes"] if v["target"] == IN_CONTAINER]
        assert keys.get("read_only", False) is (name != "init")


def test_prometheus_scrapes_the_gates_and_the_worker_that_there_are(gates: dict[str, Any]) -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    targets = {
        job["job_name"]: set(static["targets"])
        for job in config["scrape_configs"]
        for static in job["static_configs"]
    }
    assert targets == {
        "consent-gate": {f"{gate}:9464" for gate in gates},
        "consent-gate-worker": {"worker:9465"},
    }


def test_folders_that_are_mounted_are_there(services: dict[str, Any]) -> None:
    binds = [v for s in services.values() for v in s.get("volumes", []) if v["type"] == "bind"]
    assert binds
    for bind in binds:
        assert Path(bind["source"]).is_dir(), bind["source"]
        assert bind["read_only"] is True


def test_grafana_finds_its_data_source_and_its_dashboard(services: dict[str, Any]) -> None:
    provisioning = ROOT / "deploy" / "grafana" / "provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load((provisioning / "dashboards" / "consent-gate.yml").read_text())[
        "providers"
    ]
    mounted = {v["target"]: Path(v["source"]) for v in services["grafana"]["volumes"]}
    dashboards = mounted[provider["options"]["path"]]
    home = Path(services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert (dashboards / home.name).is_file()


def test_every_command_exists_with_its_options(services: dict[str, Any]) -> None:
    ours = {n: s for n, s in services.items() if s["image"].startswith("consent-gate:")}
    assert len(ours) == 6
    for name, service in ours.items():
        assert not unknown(service["command"]), name


def test_init_can_run_twice_and_every_service_can_read_its_settings_then(
    services: dict[str, Any], tmp_path: Path
) -> None:
    def here(text: str) -> str:
        return text.replace(IN_CONTAINER, str(tmp_path)).replace("/policies", str(tmp_path))

    command = [here(word) for word in services["init"]["command"]]
    for _ in range(2):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
    for name in ("topics", "gate-1", "gate-2", "worker", "player"):
        environment = {k: here(v) for k, v in services[name]["environment"].items()}
        settings = load_settings(None, environment)
        assert settings.bootstrap_servers == "kafka:9092"
        assert settings.secrets_dir == tmp_path / "secrets"
