"""``consent-gate inbound classify``: how replies are read, for people who tune the lists."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.cells import set_cell_size

from streams.cli.context import settings_of
from streams.errors import ConfigError
from streams.inbound import KeywordLists, Meaning, Reading, classify, confirms, load_lists

inbound_app = typer.Typer(no_args_is_help=True, help="See how replies are read.")

_COUNTRY = re.compile(r"[A-Za-z]{2}(-[A-Za-z0-9]{1,3})?")
_LONGEST_FIELD = 16 * 1024 * 1024
"""Characters of the longest field of a CSV file: past it a quotation mark was left open."""

_KEYWORD_CELLS = 24
_SHOWN = 60
"""Cells of a keyword and of a reply that a line on the terminal shows. Chinese takes two each."""

_STDIN = Path("-")


@dataclass(frozen=True, slots=True)
class _Reply:
    """One line of the file. ``line`` is where it ends."""

    line: int
    body: str
    country: str | None


@inbound_app.callback()
def _inbound() -> None:
    """Keep ``classify`` a sub-command: a lone command would take its group's place."""


@inbound_app.command("classify")
def classify_command(
    ctx: typer.Context,
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help="One reply, in quotes.")
    ] = None,
    *,
    country: Annotated[
        str | None,
        typer.Option(
            metavar="CC",
            help="The country of the sender's number, CN or US-TX. T withdraws in China only.",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Many replies: a CSV file in UTF-8 whose first line names the column `body` and, "
            "if you like, `country`. `-` reads standard input.",
        ),
    ] = None,
    keywords: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Use the lists in this folder. Default: the setting keywords_dir.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; for a file one object a line.")
    ] = False,
) -> None:
    """
    Say what a reply means: STOP, START, HELP, NONE or UNCERTAIN, and why.

    The worker reads replies in the same way. STOP withdraws. UNCERTAIN stops
    the sender's campaign for that person and goes to review. START asks for
    messages again. HELP and NONE change nothing.

    Try a reply: `consent-gate inbound classify "Stop. Thank you"`

    Try a changed list on last month's replies before you use it:
    `consent-gate inbound classify --csv replies.csv --keywords ./keywords`

    How the lists work: docs/keywords.md. Replies are shown on your terminal and kept nowhere.
    """
    if (text is None) == (file is None):
        raise typer.BadParameter("give either TEXT or --csv FILE")
    if country is not None and not _COUNTRY.fullmatch(country):
        raise typer.BadParameter("write two letters, such as CN", param_hint="--country")
    lists = load_lists(keywords or settings_of(ctx).settings.keywords_dir)
    if file is not None:
        _classify_file(file, country, lists, as_json=as_json)
        return
    assert text is not None  # noqa: S101 - one of the two is given
    reading = classify(text, country, lists)
    yes = confirms(text, country, lists)
    if as_json:
        typer.echo(json.dumps(_fields(reading, yes=yes), ensure_ascii=False, indent=2))
        return
    for name, value in _rows(reading, lists).items():
        typer.echo(f"{name:<8} {value}")
    if yes:
        typer.echo("confirms yes: it answers a double opt-in")


def _classify_file(file: Path, country: str | None, lists: KeywordLists, *, as_json: bool) -> None:
    """Classify line by line, so that a file of any size takes no memory."""
    counts: Counter[Meaning] = Counter()
    with _opened(file) as source:
        for reply in _replies(source, file):
            reading = classify(reply.body, reply.country or country, lists)
            if not counts and not as_json:
                typer.echo(f"{'line':>7}  {'meaning':<9}  {'keyword':<{_KEYWORD_CELLS}}  reply")
            counts[reading.meaning] += 1
            if as_json:
                yes = confirms(reply.body, reply.country or country, lists)
                fields = {"line": reply.line, **_fields(reading, yes=yes)}
                typer.echo(json.dumps(fields, ensure_ascii=False))
            else:
                typer.echo(_line(reply, reading))
    if not as_json:
        total = sum(counts.values())
        shares = ", ".join(f"{meaning.value} {counts[meaning]}" for meaning in Meaning)
        typer.echo(f"{total} replies: {shares}")


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    """Open a file or standard input as UTF-8. A byte that is none becomes a sign, as on a phone."""
    try:
        raw = sys.stdin.buffer if file == _STDIN else file.open("rb")
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error
    with io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="") as source:
        yield source


def _replies(source: TextIO, file: Path) -> Iterator[_Reply]:
    """
    Read the replies of a CSV file.

    Raises :class:`ConfigError` with the line, never with what stands in it.
    """
    where = "standard input" if file == _STDIN else str(file)
    csv.field_size_limit(_LONGEST_FIELD)
    lines = csv.reader(source, strict=True)
    try:
        header = [name.strip().lower() for name in next(lines, [])]
        if "body" not in header:
            raise ConfigError(
                f"{where}, line 1: the first line must name the columns. Write `body,country` "
                "there, or `body` alone."
            )
        body_at = header.index("body")
        country_at = header.index("country") if "country" in header else None
        for fields in lines:
            if not fields:
                continue
            if len(fields) != len(header):
                raise ConfigError(
                    f"{where}, line {lines.line_num}: {len(fields)} fields where the first line "
                    f'names {len(header)}. A reply with a comma stands in quotes: "Stop, thanks".'
                )
            country = fields[country_at].strip() if country_at is not None else ""
            if country and not _COUNTRY.fullmatch(country):
                raise ConfigError(
                    f"{where}, line {lines.line_num}: the country is no country. Write two "
                    "letters, such as CN, or nothing."
                )
            yield _Reply(lines.line_num, fields[body_at], country or None)
    except csv.Error as error:
        raise ConfigError(
            f"{where}, line {lines.line_num}: this is not CSV ({error}). Look for a quotation mark "
            "that is left open; within quotes it is written twice."
        ) from error


def _fields(reading: Reading, *, yes: bool) -> dict[str, Any]:
    return {
        "meaning": reading.meaning.value,
        "why": reading.why.name,
        "explanation": reading.explanation,
        "keyword": reading.keyword,
        "language": reading.language,
        "slip": reading.slip,
        "all": reading.all,
        "names": reading.names,
        "confirms": yes,
    }


def _rows(reading: Reading, lists: KeywordLists) -> dict[str, str]:
    """Say the same in words."""
    rows = {"meaning": reading.meaning.value, "why": reading.why.value}
    if reading.keyword is not None and reading.language is not None:
        slip = ", typed with a slip or in pieces" if reading.slip else ""
        language = lists.language_name(reading.language)
        rows["keyword"] = f"{reading.keyword} ({language}, {reading.language}.yaml{slip})"
    if reading.all:
        rows["scope"] = "everything"
    if reading.names is not None:
        rows["names"] = f"{reading.names} (may be a sender, a campaign or a kind of message)"
    return rows


def _line(reply: _Reply, reading: Reading) -> str:
    keyword = f"{reading.keyword} ({reading.language})" if reading.keyword else reading.why.value
    columns = (set_cell_size(keyword, _KEYWORD_CELLS), set_cell_size(_printable(reply), _SHOWN))
    return f"{reply.line:>7}  {reading.meaning.value:<9}  {'  '.join(columns)}".rstrip()


def _printable(reply: _Reply) -> str:
    """Take out what could drive the terminal."""
    shown = reply.body[:_SHOWN]
    return "".join(character if character.isprintable() else " " for character in shown)
