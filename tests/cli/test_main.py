"""The command line: its sub-commands, how it ends, and what it leaves unimported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer

import streams
from streams.cli import main as cli
from streams.errors import Fenced, KafkaUnavailable, PolicyInvalid

Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line where no configuration lies; return its exit status."""
    monkeypatch.chdir(tmp_path)

    def status(*args: str) -> int:
        with pytest.raises(SystemExit) as ended:
            cli.main(args)
        return int(ended.value.code or 0)

    return status


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make the sub-command `gate` raise an error."""

    def fail(error: BaseException) -> None:
        def gate() -> None:
            raise error

        monkeypatch.setitem(cli.COMMANDS, "gate", cli.Entry("Fails.", "failing", "gate"))
        monkeypatch.setitem(sys.modules, "failing", SimpleNamespace(gate=gate))  # type: ignore[arg-type]

    return fail


def test_help_names_every_command(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0

    shown = capsys.readouterr().out
    for name in cli.COMMANDS:
        assert f" {name} " in shown


def test_the_version_is_the_package_s(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"consent-gate {streams.__version__}\n"


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_is_there(name: str) -> None:
    entry = cli.COMMANDS[name]

    found = getattr(import_module(entry.module), entry.attribute)

    assert isinstance(found, typer.Typer) or callable(found)


def test_help_imports_no_command_and_no_kafka() -> None:
    """In a process of its own: here everything is imported already."""
    script = (
        "import sys\n"
        "from streams.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "assert 'confluent_kafka' not in sys.modules\n"
        "assert 'jgo' not in sys.modules\n"
    )

    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PolicyInvalid("rules.yaml:4: what to do"), 3),
        (Fenced("another gate"), 9),
        (KafkaUnavailable("no answer"), 75),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_for_people_is_its_text_and_its_status(
    run: Run,
    failing: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    status: int,
) -> None:
    failing(error)

    assert run("gate") == status
    assert capsys.readouterr().err == f"consent-gate: {error}\n"


def test_ctrl_c_ends_quietly(
    run: Run,
    failing: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    failing(KeyboardInterrupt())

    assert run("gate") == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_defect_is_not_hidden(run: Run, failing: Callable[[BaseException], None]) -> None:
    failing(ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        run("gate")


def test_an_unknown_command_is_wrong_usage(run: Run) -> None:
    assert run("gatte") == 2


def test_a_broken_configuration_names_the_mistake(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "consent-gate.yaml").write_text("partitons: 4\n")

    assert run("config", "show") == 2
    assert "did you mean 'partitions'?" in capsys.readouterr().err


def test_help_works_beside_a_broken_configuration(run: Run, tmp_path: Path) -> None:
    (tmp_path / "consent-gate.yaml").write_text("partitons: 4\n")

    assert run("config", "show", "--help") == 0
