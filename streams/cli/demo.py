"""``consent-gate demo``: a day with the case in it, on a real Kafka."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from streams.audit.explain import Explanation, explain
from streams.audit.finding import archived_policy, ledger_of
from streams.audit.topic_log import TopicLog
from streams.cli.context import settings_of
from streams.codec.codec import Codecs, open_codecs
from streams.config import Settings
from streams.demo.acts import Setting
from streams.demo.checks import Account, check
from streams.demo.day import FEWEST_REQUESTS, MOST_REQUESTS, day_of
from streams.demo.people import RUNS
from streams.demo.performance import Watch, perform
from streams.demo.reading import read_written, starts
from streams.demo.report import Report, as_json, show
from streams.demo.stage import Stage, staged
from streams.errors import ProofBroken
from streams.kafka.clients import administering
from streams.kafka.topics import ensure_fit
from streams.policy.policy import load_policy
from streams.resources import data_dir
from streams.sealing.keyring import open_subject_ids, open_verifier
from streams.topology import SMS_REQUESTED

_CHECK_SECONDS = 0.5
_PIPED_WIDTH = 100


def demo(
    ctx: typer.Context,
    requests: Annotated[
        int,
        typer.Option(help="How many SMS requests.", min=FEWEST_REQUESTS, max=MOST_REQUESTS),
    ] = 20_000,
    stay: Annotated[
        bool,
        typer.Option("--stay", help="Keep everything running afterwards, and say what to look at."),
    ] = False,
    bootstrap_servers: Annotated[
        str | None,
        typer.Option(
            help="Play it against a stack that runs already. The other settings, and the keys, are "
            "those of --config.",
            metavar="HOST:PORT,…",
        ),
    ] = None,
    json_wanted: Annotated[
        bool, typer.Option("--json", help="Print one JSON document on standard output.")
    ] = False,
) -> None:
    """
    Play a day with the case in it, and check what came of it.

    Starts a real Apache Kafka, a gate and a worker, writes consents, address-book uploads, replies
    and requests of every kind, also such as nobody can read, and compares what went in with what
    came out. Everybody in it is made up. Takes about half a minute, keeps nothing, and ends with 0
    if every guarantee held.

    With --bootstrap-servers it starts nothing and plays against the gates and workers that run
    there. It leaves its records behind; runs do not disturb each other.
    """
    if stay and bootstrap_servers is not None:
        raise typer.BadParameter("--stay keeps what the demo started; here it would start nothing")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    guide = _Guide()
    if bootstrap_servers is not None:
        settings = settings_of(ctx).settings.model_copy(
            update={"bootstrap_servers": bootstrap_servers}
        )
        report = _played(settings, requests, guide)
        _print(report, json_wanted)
    else:
        with staged(guide.tell) as stage:
            report = _played(stage.settings, requests, guide, stage)
            _print(report, json_wanted)
            if stay:
                _stay(stage, report, to_stderr=json_wanted)
    if not report.holds:
        raise ProofBroken("Not everything held: see the lines marked ✗.")


def _played(settings: Settings, requests: int, guide: _Guide, stage: Stage | None = None) -> Report:
    """Play a day on what runs there, read what was written, and check it."""
    with administering(settings) as admin:
        ensure_fit(settings, admin)
    subject_ids = open_subject_ids(settings.secrets_dir)
    verifier = open_verifier(settings.secrets_dir)
    codecs = open_codecs(settings.schema_registry_url, topic_names=settings.names)
    default_version = load_policy(data_dir("policies") / "default").version
    with TopicLog(settings) as log:
        partitions = log.partitions(SMS_REQUESTED)
    setting = Setting(
        run=secrets.randbelow(RUNS),
        now_ms=int(time.time() * 1000),
        partitions=partitions,
        codecs=codecs,
        subject_ids=subject_ids,
    )
    day = day_of(setting, requests)
    since = starts(settings)
    with guide.progress() as watch:
        performance = perform(
            settings, codecs, day, watch=watch, check=stage.check if stage else _nothing
        )
    guide.tell("reading what gate and worker have written")
    written = read_written(settings, codecs, verifier, since, setting.now_ms)
    guide.tell("checking it")
    account = Account(performance.played, written)
    return Report(
        run=setting.run,
        people=len(day.people.everybody()),
        account=account,
        measured=performance.measured,
        case=_explained(settings, codecs, account, day.case_id),
        invariants=tuple(check(account, default_version)),
    )


def _explained(
    settings: Settings, codecs: Codecs, account: Account, case_id: str
) -> Explanation | None:
    """Explain the decision on the case, as `consent-gate explain` does; None if there is none."""
    for decision in account.written.decisions:
        if decision.request_id == case_id:
            with TopicLog(settings) as log:
                return explain(
                    decision,
                    archived_policy(log, codecs, decision.policy_version),
                    ledger_of(
                        log,
                        codecs,
                        decision.request_partition,
                        decision.subject_id,
                        lambda what, offsets: lambda done: None,
                    ),
                )
    return None


def _print(report: Report, json_wanted: bool) -> None:
    if json_wanted:
        typer.echo(json.dumps(as_json(report), indent=2, ensure_ascii=False))
    else:
        show(report, _console(to_stderr=False))


def _stay(stage: Stage, report: Report, *, to_stderr: bool) -> None:
    """Say what there is to look at, and wait for Ctrl-C."""
    console = _console(to_stderr=to_stderr)
    case_id = report.case.decision.decision_id if report.case is not None else "ID"
    kafka = stage.settings.bootstrap_servers
    command = _own_command()
    console.print(
        f"Everything keeps running until Ctrl-C. To open:\n"
        f"  {stage.gate_url}/metrics   what the gate counts, for Prometheus\n"
        f"  {stage.gate_url}/readyz    whether it decides, and if not, why\n"
        f"  {stage.worker_url}/metrics   the same of the worker\n"
        f"To try, in another terminal (Kafka is at {kafka}):\n"
        f"  export CONSENT_GATE_CONFIG={stage.config}\n"
        f"  {command} status\n"
        f"  {command} explain {case_id}\n"
        f"  {command} audit verify\n"
        f"  {command} topics check\n"
        f"  {command} demo --bootstrap-servers {kafka}",
        soft_wrap=True,
    )
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(_CHECK_SECONDS)
            stage.check()


def _own_command() -> str:
    """Return how another terminal calls this very program: `make demo` puts it on no PATH."""
    own = Path(sys.argv[0]).absolute()
    found = shutil.which("consent-gate")
    plain = found == str(own) or not own.is_file()
    return "consent-gate" if plain else str(own)


class _Guide:
    """Says on standard error what is going on: a bar on a terminal, else a line a step."""

    def __init__(self) -> None:
        self._console = _console(to_stderr=True)

    def tell(self, step: str) -> None:
        """Name the step that begins."""
        self._console.print(f"{step} …")

    @contextmanager
    def progress(self) -> Iterator[Watch]:
        """Show how far each part of the day is, for the length of a block."""
        with Progress(
            TextColumn("playing {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        ) as shown:
            tasks: dict[str, TaskID] = {}

            def watch(part: str, there: int, expected: int) -> None:
                if part not in tasks:
                    tasks[part] = shown.add_task(part, total=expected)
                    if not self._console.is_terminal:
                        self.tell(f"playing {part}: {expected:,} outcomes to wait for")
                shown.update(tasks[part], completed=there)

            yield watch


def _console(*, to_stderr: bool) -> Console:
    stream = sys.stderr if to_stderr else sys.stdout
    # A pipe has no width of its own.
    width = None if stream.isatty() else _PIPED_WIDTH
    return Console(stderr=to_stderr, width=width, markup=False, highlight=False)


def _nothing() -> None:
    """Stand for the check of a stage where there is none."""


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End the play, once: while everything is taken down, a second signal changes nothing."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
