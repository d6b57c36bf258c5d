"""``consent-gate import consents|suppressions``: lists that others keep, into consent.events."""

from __future__ import annotations

import codecs
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli.context import settings_of
from streams.cli.progress import progress_shown
from streams.codec.codec import open_codecs
from streams.errors import LinesRefused
from streams.importing.columns import Column, ListKind, columns_of
from streams.importing.importing import Order, Outcome, import_list
from streams.importing.reading import Defaults, as_basis, as_millis
from streams.importing.sending import NotSending, Sending
from streams.records.events import Basis
from streams.sealing.keyring import open_subject_ids
from streams.sealing.subject_ids import SUBJECT_ID_KEY_BYTES, SubjectIds

imports_app = typer.Typer(
    no_args_is_help=True,
    help="Bring in lists of consents and suppressions. Suppressions first: a consent that is "
    "imported never undoes one.",
)

_FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A CSV file, of any size.", dir_okay=False)
]
_Mapped = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="COLUMN=NAME",
        help="The file calls this column otherwise: subject=phone. Again for each one.",
    ),
]
_DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Read everything, send nothing. Needs no Kafka and no keys."),
]
_Region = Annotated[
    str | None,
    typer.Option(
        metavar="CC",
        help="The country of numbers that name none, such as DE. Else these are refused.",
    ),
]
_OccurredAt = Annotated[
    str | None, typer.Option(metavar="DATE", help="The date of lines without one.")
]
_DateFormat = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT",
        help="How the file writes dates, such as '%d.%m.%Y %H:%M'. Else 2024-05-31, with or "
        "without a time, or seconds since 1970. Without a time zone it is UTC.",
    ),
]
_NoHeading = Annotated[
    bool,
    typer.Option(
        "--no-header", help="Line 1 is no heading; --map names columns by place: subject=1."
    ),
]
_Delimiter = Annotated[
    str | None, typer.Option(metavar="CHAR", help="Else as in line 1: one of , ; | or a tab.")
]
_Encoding = Annotated[
    str | None, typer.Option(metavar="NAME", help="Else UTF-8, or what its byte order mark says.")
]
_Rate = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="N",
        help="At most so many a second. More than the gates take in keeps every SMS waiting.",
    ),
]
_AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for scripts.")]

_RATE = 2_000


@imports_app.command()
def consents(
    ctx: typer.Context,
    file: _FileArgument,
    *,
    mapped: _Mapped = None,
    dry_run: _DryRun = False,
    default_region: _Region = None,
    default_purpose: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The purpose of lines that name none.")
    ] = None,
    default_basis: Annotated[
        str,
        typer.Option(
            metavar="BASIS", help="On what lines rest that do not say: express if you can prove it."
        ),
    ] = "implied",
    occurred_at: _OccurredAt = None,
    date_format: _DateFormat = None,
    no_heading: _NoHeading = False,
    delimiter: _Delimiter = None,
    encoding: _Encoding = None,
    rate: _Rate = _RATE,
    as_json: _AsJson = False,
) -> None:
    """
    Import consents: each line a yes of one number for one purpose.

    Columns: `subject` (the number), `purpose`, `occurred_at` (when it was given).
    If you like: `expires_at`, `basis` (express, implied, soft_opt_in),
    `conditional`, `sender_id`, `campaign_id`, `region`, `time_zone`,
    `dialled_from` (the number's country). What proves it: `notice_version`,
    `document_sha256`, `channel`, `reference`.

    An imported consent never undoes a withdrawal, whatever its date.

    See first what would be refused, then import:

    `consent-gate import consents crm.csv --map subject=phone --map purpose=list --dry-run`

    `consent-gate import consents crm.csv --map subject=phone --map purpose=list`

    Refused lines go to FILE.refused.csv, with the reason: mend them there and
    import that file. Stopped half way, the same command goes on. Run twice, it
    changes nothing the second time. Ends with 15 when lines were refused.
    """
    basis = as_basis(default_basis)
    if basis is None:
        raise typer.BadParameter("express, implied or soft_opt_in", param_hint="--default-basis")
    defaults = _defaults(default_region, default_purpose, occurred_at, date_format, basis)
    order = Order(
        file=file,
        kind=ListKind.CONSENTS,
        mapped=_mapping(mapped, ListKind.CONSENTS),
        defaults=defaults,
        heading=not no_heading,
        delimiter=_one_character(delimiter),
        encoding=_known(encoding),
        rate=rate,
        dry_run=dry_run,
    )
    _run(ctx, order, as_json=as_json)


@imports_app.command()
def suppressions(
    ctx: typer.Context,
    file: _FileArgument,
    *,
    mapped: _Mapped = None,
    dry_run: _DryRun = False,
    default_region: _Region = None,
    default_purpose: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="For what lines that name no purpose count. Else for everything."
        ),
    ] = None,
    occurred_at: _OccurredAt = None,
    date_format: _DateFormat = None,
    no_heading: _NoHeading = False,
    delimiter: _Delimiter = None,
    encoding: _Encoding = None,
    rate: _Rate = _RATE,
    as_json: _AsJson = False,
) -> None:
    """
    Import suppressions: each line a number that wants no messages, or none for its purpose.

    Columns: `subject` (the number). If you like: `purpose` (empty: everything),
    `occurred_at`, `sender_id`, `campaign_id`, `dialled_from` (the number's
    country), `notice_version`, `document_sha256`, `channel`, `reference`.

    A suppression counts from its arrival and ends every consent that came
    before it, whatever its date. Without a date a line has that of the file's
    last change, so that a newer list counts anew.

    A list without a heading, of numbers only:

    `consent-gate import suppressions stop.txt --no-header --default-region US`

    Refused lines go to FILE.refused.csv, with the reason: mend them there and
    import that file; until then these people are not suppressed. Stopped half
    way, the same command goes on. Run twice, it changes nothing the second
    time. Ends with 15 when lines were refused.
    """
    order = Order(
        file=file,
        kind=ListKind.SUPPRESSIONS,
        mapped=_mapping(mapped, ListKind.SUPPRESSIONS),
        defaults=_defaults(default_region, default_purpose, occurred_at, date_format),
        heading=not no_heading,
        delimiter=_one_character(delimiter),
        encoding=_known(encoding),
        rate=rate,
        dry_run=dry_run,
    )
    _run(ctx, order, as_json=as_json)


def _run(ctx: typer.Context, order: Order, *, as_json: bool) -> None:
    """Import, tell what came of it, and raise what ended it or that lines were refused."""
    if order.dry_run:
        # Nothing is sent, so that any key gives the ids.
        subject_ids = SubjectIds(secrets.token_bytes(SUBJECT_ID_KEY_BYTES))
        sends: Sending | NotSending = NotSending()
    else:
        settings = settings_of(ctx).settings
        subject_ids = open_subject_ids(settings.secrets_dir)
        codecs_ = open_codecs(
            settings.schema_registry_url, settings.schema_registry, settings.names
        )
        sends = Sending(settings, codecs_)
    with _progress(order.file) as advanced:
        outcome = import_list(order, sends, subject_id=subject_ids.of, advanced=advanced)
    if as_json:
        typer.echo(json.dumps(_as_json(order, outcome), indent=2, ensure_ascii=False))
    else:
        for line in _said(order, outcome):
            typer.echo(line)
    if outcome.failure is not None:
        raise outcome.failure
    if outcome.refused:
        raise LinesRefused(
            f"{sum(outcome.refused.values()):,} lines were refused: see {outcome.refused_file}."
        )


@contextmanager
def _progress(file: Path) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error where that is a terminal."""
    total = file.stat().st_size if file.is_file() else None
    with progress_shown() as bar:
        task = bar.add_task(file.name, total=total)
        yield lambda read: bar.update(task, completed=read)


def _said(order: Order, outcome: Outcome) -> Iterator[str]:
    refused = sum(outcome.refused.values())
    done = "would be imported" if order.dry_run else "imported"
    if outcome.went_on_after is not None:
        yield f"Went on after line {outcome.went_on_after:,}, where the import was stopped."
    yield (
        f"{order.file}: {outcome.records:,} lines, {outcome.imported:,} {done}, {refused:,} refused"
    )
    for fault, count in sorted(outcome.refused.items(), key=lambda each: -each[1]):
        yield f"{count:>9,}  {fault.value}"
    used = ", ".join(f"{column} = {name}" for column, name in outcome.used.items())
    yield f"columns: {used}"
    if outcome.unused:
        yield f"not used: {', '.join(outcome.unused)}"
    if outcome.refused_file is not None:
        yield f"The refused lines are in {outcome.refused_file}: mend them and import that file."
    if outcome.failure is not None:
        yield "The import is not complete: the same command goes on where it stopped."


def _as_json(order: Order, outcome: Outcome) -> dict[str, Any]:
    return {
        "file": str(order.file),
        "kind": order.kind.value,
        "dry_run": order.dry_run,
        "complete": outcome.failure is None,
        "lines": outcome.records,
        "imported": outcome.imported,
        "refused": {fault.name.lower(): count for fault, count in outcome.refused.items()},
        "refused_file": str(outcome.refused_file) if outcome.refused_file else None,
        "unacknowledged": outcome.unacknowledged,
        "went_on_after_line": outcome.went_on_after,
        "columns": dict(outcome.used),
        "columns_not_used": list(outcome.unused),
    }


def _mapping(mapped: list[str] | None, kind: ListKind) -> dict[Column, str]:
    known = {column.value: column for column in columns_of(kind)}
    mapping: dict[Column, str] = {}
    for each in mapped or ():
        column, separator, name = each.partition("=")
        if not separator or not name or column not in known:
            raise typer.BadParameter(
                f"{each!r}: write COLUMN=NAME, COLUMN one of {', '.join(known)}",
                param_hint="--map",
            )
        mapping[known[column]] = name
    return mapping


def _defaults(
    region: str | None,
    purpose: str | None,
    occurred_at: str | None,
    date_format: str | None,
    basis: Basis = Basis.IMPLIED,
) -> Defaults:
    if region is not None and not (len(region) == 2 and region.isascii() and region.isalpha()):
        raise typer.BadParameter("write two letters, such as DE", param_hint="--default-region")
    at = None if occurred_at is None else as_millis(occurred_at)
    if occurred_at is not None and at is None:
        raise typer.BadParameter("write it as 2024-05-31", param_hint="--occurred-at")
    return Defaults(
        dialled_from=None if region is None else region.upper(),
        purpose=(purpose or "").strip() or None,
        basis=basis,
        occurred_at=at,
        date_format=date_format,
    )


def _one_character(delimiter: str | None) -> str | None:
    if delimiter is None:
        return None
    given = {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter)
    if len(given) != 1 or given in '"\r\n':
        raise typer.BadParameter("one character, or tab", param_hint="--delimiter")
    return given


def _known(encoding: str | None) -> str | None:
    if encoding is None:
        return None
    try:
        "".encode(encoding)
        return codecs.lookup(encoding).name
    except (LookupError, UnicodeError):
        raise typer.BadParameter(
            "there is no such encoding; try cp1252 or gb18030", param_hint="--encoding"
        ) from None
