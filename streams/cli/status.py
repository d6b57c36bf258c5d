"""``consent-gate status``: what running gates say of themselves, live on a terminal."""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from streams.cli.context import settings_of
from streams.config import Settings
from streams.errors import ConfigError, Retry
from streams.records.decisions import Outcome
from streams.telemetry.labels import TransactionResult
from streams.telemetry.reading import Reading, Summary, summarise

_ANSWER_SECONDS = 2.0
_REFRESH_SECONDS = 1.0
_WINDOW_SECONDS = 30.0  # Rates and quantiles: long enough to be calm, short enough to be "now".
_NOT_READY = 1

# The gate is asked directly: a company's web proxy knows nothing of loopback.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


# A gate that did not answer, or what answered is no gate, is a Retry that says so.
_Answer = Reading | Retry
_View = Summary | Retry


def status(
    ctx: typer.Context,
    url: Annotated[
        list[str] | None,
        typer.Option(
            help="Where a gate serves /metrics; give it again for more gates. "
            "Default: http_host and http_port of the settings.",
            metavar="URL",
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Print once and end, as without a terminal.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON once and end, for scripts.")
    ] = False,
) -> None:
    """
    Watch running gates: ready or why not, verdicts, latency, lag. Ctrl-C ends it.

    Printed once, the exit status is 0 if every gate is ready, 1 if one is not, 75 if one cannot be
    reached.
    """
    urls = [_checked(given) for given in url or [_url_of(settings_of(ctx).settings)]]
    if once or as_json or not sys.stdout.isatty():
        _print_once(urls, as_json)
    else:
        _watch(urls)


def _print_once(urls: Sequence[str], as_json: bool) -> None:
    views = {url: _view(answer, None) for url, answer in zip(urls, _ask(urls), strict=True)}
    if as_json:
        typer.echo(json.dumps({url: _json(view) for url, view in views.items()}, indent=2))
    elif any(isinstance(view, Summary) for view in views.values()):
        # Piped output has no width of its own: never cut a value off there.
        width = None if sys.stdout.isatty() else 60 + 60 * len(urls)
        Console(width=width).print(drawn(views))
    for view in views.values():
        if isinstance(view, Retry):
            raise view
    if not all(isinstance(view, Summary) and view.ready for view in views.values()):
        raise typer.Exit(_NOT_READY)


def _watch(urls: Sequence[str]) -> None:
    history: dict[str, list[Reading]] = {url: [] for url in urls}
    try:
        with Live(Text("asking…"), auto_refresh=False) as live:
            while True:
                asked_at = time.monotonic()
                views: dict[str, _View] = {}
                for url, answer in zip(urls, _ask(urls), strict=True):
                    past = history[url]
                    views[url] = _view(answer, _since(answer, past))
                    if isinstance(answer, Reading):
                        past.append(answer)
                live.update(drawn(views), refresh=True)
                time.sleep(max(0.0, asked_at + _REFRESH_SECONDS - time.monotonic()))
    except KeyboardInterrupt:
        return


def _since(answer: _Answer, past: list[Reading]) -> Reading | None:
    """Return the reading to compare with, and drop what is too old or from before a restart."""
    if not isinstance(answer, Reading):
        return None
    past[:] = [
        reading
        for reading in past
        if answer.at - reading.at <= _WINDOW_SECONDS and answer.follows(reading)
    ]
    return past[0] if past else None


def _url_of(settings: Settings) -> str:
    if settings.http_port == 0:
        raise ConfigError(
            "http_port is 0, so that the gate takes any port: give --url with the address that "
            "it wrote to its log at start."
        )
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing listens here
    host = everywhere.get(settings.http_host, settings.http_host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.http_port}"


def _checked(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"--url: {url!r} is no web address; write http://HOST:PORT")
    return url.rstrip("/")


def _ask(urls: Sequence[str]) -> list[_Answer]:
    """Ask every gate at the same time. Blocks for at most the time-outs of one."""
    with ThreadPoolExecutor(max_workers=len(urls)) as threads:
        return list(threads.map(_read, urls))


def _read(url: str) -> _Answer:
    try:
        metrics_text = _get(f"{url}/metrics")
        readyz_text = _get(f"{url}/readyz")
        return Reading.parse(time.monotonic(), metrics_text, readyz_text)
    except urllib.error.HTTPError as error:
        why = f"it answers with status {error.code}: is it a gate?"
        error.close()
    except OSError as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
        why = f"{text or type(reason).__name__}. Is the gate running, with this http_port?"
    except ValueError:
        why = "what answers is not a gate."
    return Retry(f"{url} cannot be reached: {why}")


def _get(address: str) -> str:
    try:
        with _OPENER.open(address, timeout=_ANSWER_SECONDS) as response:
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
            raise
        with error:  # A gate that is not ready says so with this status, and in the body why.
            return str(error.read().decode())


def _view(answer: _Answer, earlier: Reading | None) -> _View:
    return summarise(answer, earlier) if isinstance(answer, Reading) else answer


def _json(view: _View) -> dict[str, object]:
    return asdict(view) if isinstance(view, Summary) else {"unreachable": str(view)}


# ---------------------------------------------------------------------------------------- drawing


def drawn(views: dict[str, _View]) -> RenderableType:
    """Draw gates side by side: one column a gate, a line a fact, only lines that say something."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    columns: list[dict[str, Text]] = []
    for url, view in views.items():
        table.add_column(url.partition("://")[2], overflow="fold")
        columns.append(dict(_lines(view)) if isinstance(view, Summary) else {})
    for name in _in_order(columns):
        shown = [column.get(name, Text("–", style="dim")) for column in columns]
        table.add_row(Text(name, style="dim"), *shown)
    silent = [
        Text(str(view), style="red") for view in views.values() if not isinstance(view, Summary)
    ]
    return Group(table, *silent)


def _in_order(columns: Sequence[dict[str, Text]]) -> list[str]:
    """Return every line's name once: a gate's own order, others' lines after those they follow."""
    names: list[str] = []
    for column in columns:
        after = 0
        for name in column:
            if name not in names:
                names.insert(after, name)
            after = names.index(name) + 1
    return names


def _lines(gate: Summary) -> Iterator[tuple[str, Text]]:
    yield "ready", Text("yes", "green") if gate.ready else Text("no", "bold red")
    if not gate.ready:
        yield "because", Text("\n".join(gate.not_ready_because), "red")
    if gate.policy_version is not None:
        yield "policy", Text(f"{gate.policy_version[:16]} since {gate.policy_since}")
    else:
        yield "policy", Text("none", "red")
    yield "partitions", Text(_numbers(gate.assigned))
    for cause, partitions in gate.stalled.items():
        yield f"stalled, {cause}", Text(_numbers(partitions), "red")
    for partition, ratio in gate.restoring.items():
        yield f"restoring {partition}", Text(f"{ratio:.0%}", "yellow")
    over = "since start" if gate.window_seconds is None else f"last {gate.window_seconds:.0f} s"
    rate = "" if gate.requests_per_second is None else f", {gate.requests_per_second:,.0f}/s now"
    yield "requests", Text(f"{gate.requests:,}{rate}")
    waiting = gate.request_lag
    yield (
        "requests waiting",
        Text(f"{waiting.records:,}, the oldest for {waiting.seconds:.1f} s", "yellow")
        if waiting.records
        else Text("none", "dim"),
    )
    for purpose, verdicts in gate.verdicts.items():
        yield purpose, Text(_counts({word: verdicts.get(word, 0) for word in _VERDICTS}, str.lower))
    for kind, reasons, style in (
        ("blocks", gate.blocks, ""),
        ("holds", gate.holds, "yellow"),
        ("faults", gate.faults, "red"),
    ):
        yield kind, Text(_counts(reasons) or "none", style if reasons else "dim")
    held, overdue = _counts(gate.waiting_holds) or "none", gate.overdue_holds_seconds
    if overdue:
        held += f", the first due for {overdue:.1f} s"
    yield "held now", Text(held, "yellow" if overdue else "" if gate.waiting_holds else "dim")
    for topic, causes in gate.dead_letters.items():
        yield f"dead letters, {topic}", Text(_counts(causes), "red")
    yield "lost", Text(_counts(gate.lost) or "none", "bold red" if gate.lost else "dim")
    yield (
        "latency",
        Text(f"p50 {_time(gate.latency_p50)}, p99 {_time(gate.latency_p99)} ({over})"),
    )
    yield (
        "barrier wait",
        Text(f"p50 {_time(gate.barrier_wait_p50)}, p99 {_time(gate.barrier_wait_p99)} ({over})"),
    )
    failed = any(gate.transactions.get(result.value) for result in _FAILED)
    words = {result.value: gate.transactions.get(result.value, 0) for result in TransactionResult}
    yield "transactions", Text(_counts(words), "yellow" if failed else "")
    for topic, lag in gate.state_lag.items():
        behind = f"{lag.records:,} records, {lag.seconds:.1f} s"
        yield f"lag, {topic}", Text(behind if lag.records else "none", "" if lag.records else "dim")


_VERDICTS = [outcome.value for outcome in Outcome]
_FAILED = (TransactionResult.ABORTED, TransactionResult.REBUILT)


def _counts(counts: dict[str, int], spelt: Callable[[str], str] = str) -> str:
    return ", ".join(f"{spelt(name)} {count:,}" for name, count in counts.items())


def _numbers(partitions: Sequence[int]) -> str:
    return ", ".join(str(partition) for partition in partitions) or "none"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
