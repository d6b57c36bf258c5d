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
from streams.inbound import (
    Because,
    Coverage,
    KeywordLists,
    Meaning,
    Reading,
    Senders,
    classify,
    confirms,
    load_lists,
    load_senders,
)

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
    recipient: str


@dataclass(frozen=True, slots=True)
class _Reader:
    """How replies are read: the lists, the register, and what holds where a line does not say."""

    lists: KeywordLists
    senders: Senders
    country: str | None
    recipient: str

    def read(self, body: str, country: str | None = None) -> tuple[Reading, bool]:
        """Read a reply; also tell whether it is a plain yes."""
        where = country or self.country
        reading = self.senders.judged(classify(body, where, self.lists))
        return reading, confirms(body, where, self.lists)

    def coverage(self, reading: Reading, recipient: str = "") -> Coverage | None:
        """
        Say what the reply withdraws.

        None where it withdraws nothing, or where that hangs on what the reply was sent to (a doubt
        ends one sender's messages) and nobody said so here.
        """
        to = recipient or self.recipient
        match reading.meaning:
            case Meaning.STOP:
                return self.senders.coverage(reading, to)
            case Meaning.UNCERTAIN:
                return self.senders.coverage(reading, to) if to else None
            case Meaning.START | Meaning.HELP | Meaning.NONE:
                return None


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
    recipient: Annotated[
        str,
        typer.Option(
            metavar="NUMBER",
            help="What the reply was sent to, a short code or number: with senders_file it tells "
            "what a STOP covers.",
        ),
    ] = "",
    file: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Many replies: a CSV file in UTF-8 whose first line names the column `body` and, "
            "if you like, `country` and `recipient`. `-` reads standard input.",
        ),
    ] = None,
    keywords: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Use the lists in this folder. Default: the setting keywords_dir.",
        ),
    ] = None,
    senders: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Use this register of senders. Default: the setting senders_file.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; for a file one object a line.")
    ] = False,
) -> None:
    """
    Say what a reply means: STOP, START, HELP, NONE or UNCERTAIN, and why.

    The worker reads replies in the same way. STOP withdraws: from the sender or
    campaign that the register knows by its name or number, else everything.
    UNCERTAIN stops the sender's campaign for that person and goes to review.
    START asks for messages again. HELP and NONE change nothing.

    Try a reply: `consent-gate inbound classify "Stop. Thank you"`

    Try a changed list on last month's replies before you use it:
    `consent-gate inbound classify --csv replies.csv --keywords ./keywords`

    How the lists work: docs/keywords.md. Replies are shown on your terminal and kept nowhere.
    """
    if (text is None) == (file is None):
        raise typer.BadParameter("give either TEXT or --csv FILE")
    if country is not None and not _COUNTRY.fullmatch(country):
        raise typer.BadParameter("write two letters, such as CN", param_hint="--country")
    settings = settings_of(ctx).settings
    lists = load_lists(keywords or settings.keywords_dir)
    reader = _Reader(
        lists, load_senders(senders or settings.senders_file, lists), country, recipient
    )
    if file is not None:
        _classify_file(file, reader, as_json=as_json)
        return
    assert text is not None  # noqa: S101 - one of the two is given
    reading, yes = reader.read(text)
    covered = reader.coverage(reading)
    if as_json:
        told = _fields(reading, covered, yes=yes)
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    for name, value in _rows(reading, covered, lists).items():
        typer.echo(f"{name:<8} {value}")
    if yes:
        typer.echo("confirms yes: it answers a double opt-in")


def _classify_file(file: Path, reader: _Reader, *, as_json: bool) -> None:
    """Classify line by line, so that a file of any size takes no memory."""
    counts: Counter[Meaning] = Counter()
    with _opened(file) as source:
        for reply in _replies(source, file):
            reading, yes = reader.read(reply.body, reply.country)
            if not counts and not as_json:
                typer.echo(f"{'line':>7}  {'meaning':<9}  {'keyword':<{_KEYWORD_CELLS}}  reply")
            counts[reading.meaning] += 1
            if as_json:
                covered = reader.coverage(reading, reply.recipient)
                fields = {"line": reply.line, **_fields(reading, covered, yes=yes)}
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
        recipient_at = header.index("recipient") if "recipient" in header else None
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
            recipient = fields[recipient_at].strip() if recipient_at is not None else ""
            yield _Reply(lines.line_num, fields[body_at], country or None, recipient)
    except csv.Error as error:
        raise ConfigError(
            f"{where}, line {lines.line_num}: this is not CSV ({error}). Look for a quotation mark "
            "that is left open; within quotes it is written twice."
        ) from error


def _fields(reading: Reading, covered: Coverage | None, *, yes: bool) -> dict[str, Any]:
    scope = None
    if covered is not None:
        scope = {
            "sender_id": covered.scope.sender_id,
            "campaign_id": covered.scope.campaign_id,
            "because": covered.because.name,
        }
    return {
        "meaning": reading.meaning.value,
        "why": reading.why.name,
        "explanation": reading.explanation,
        "keyword": reading.keyword,
        "language": reading.language,
        "slip": reading.slip,
        "all": reading.all,
        "names": reading.names,
        "scope": scope,
        "confirms": yes,
    }


def _rows(reading: Reading, covered: Coverage | None, lists: KeywordLists) -> dict[str, str]:
    """Say the same in words."""
    rows = {"meaning": reading.meaning.value, "why": reading.why.value}
    if reading.keyword is not None and reading.language is not None:
        slip = ", typed with a slip or in pieces" if reading.slip else ""
        language = lists.language_name(reading.language)
        rows["keyword"] = f"{reading.keyword} ({language}, {reading.language}.yaml{slip})"
    if covered is not None:
        rows["scope"] = f"{_scope(covered)}: {covered.because.value}"
    elif reading.meaning is Meaning.UNCERTAIN:
        rows["scope"] = "the sender or campaign it came to: --recipient says which"
    if reading.names is not None and (covered is None or covered.because is not Because.NAMED):
        rows["names"] = f"{reading.names} (may be a sender, a campaign or a kind of message)"
    return rows


def _scope(covered: Coverage) -> str:
    if covered.scope.campaign_id is not None:
        return f"campaign {covered.scope.campaign_id}"
    if covered.scope.sender_id is not None:
        return f"sender {covered.scope.sender_id}"
    return "everything"


def _line(reply: _Reply, reading: Reading) -> str:
    keyword = f"{reading.keyword} ({reading.language})" if reading.keyword else reading.why.value
    columns = (set_cell_size(keyword, _KEYWORD_CELLS), set_cell_size(_printable(reply), _SHOWN))
    return f"{reply.line:>7}  {reading.meaning.value:<9}  {'  '.join(columns)}".rstrip()


def _printable(reply: _Reply) -> str:
    """Take out what could drive the terminal."""
    shown = reply.body[:_SHOWN]
    return "".join(character if character.isprintable() else " " for character in shown)
