"""``consent-gate policy try`` and ``test``: decide made-up cases, as a gate would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.audit.case_words import case_in_words
from streams.audit.policy_tests import Covered, coverage, differences, uncovered
from streams.audit.trying import Tried, try_case
from streams.cli.context import settings_of
from streams.errors import PolicyInvalid
from streams.policy.analysis.outcomes import Analysis
from streams.policy.cases.cases import read_cases
from streams.policy.manifest import TESTS
from streams.policy.policy import Policy, load_policy

FAILED = 1
"""The exit status where a case came out otherwise than expected, or a rule is not shown."""


def try_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A YAML file of made-up cases.")],
    *,
    policy: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The policy's folder. Default: that of the settings."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, by the cases' ids.")
    ] = False,
) -> None:
    """
    Decide the made-up cases in FILE, by the same code as the gate's, and say why.

    Each is a document with id, at, recipient, history and request, as docs/policy.md says.
    """
    settings = settings_of(ctx).settings
    loaded = load_policy(settings.policy_dir if policy is None else policy)
    tried = _tried(file, loaded, settings.contact_entry_days)
    if as_json:
        typer.echo(json.dumps({each.case.id: each.as_json() for each in tried}, indent=2))
        return
    analysis = Analysis(loaded)
    for place, each in enumerate(tried):
        if place:
            typer.echo("")
        typer.echo(case_in_words(each, analysis), nl=False)


def run_tests(
    ctx: typer.Context,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The policy's folder.")],
    *,
    with_coverage: Annotated[
        bool,
        typer.Option(
            "--coverage",
            help="Say which cases show each rule, matching and just missing; exit with 1 without.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """
    Run the policy's own tests, DIR/tests.yaml: every case must come out as it expects.

    Exits with 1 where one does not, and shows what is otherwise.
    """
    settings = settings_of(ctx).settings
    loaded = load_policy(directory)
    tried = _tried(directory / TESTS, loaded, settings.contact_entry_days)
    failed = [each for each in tried if differences(each)]
    covered = coverage(Analysis(loaded), tried) if with_coverage else []
    missing = uncovered(covered)
    if as_json:
        typer.echo(json.dumps(_report(tried, covered, with_coverage=with_coverage), indent=2))
    else:
        for each in failed:
            _tell_failed(directory, each)
        _tell_coverage(directory, covered)
        typer.echo(
            f"{len(tried)} cases: {len(tried) - len(failed)} as expected, {len(failed)} not"
            + (f"; {len(covered) - len(missing)} of {len(covered)} rules shown" if covered else "")
        )
    if failed or missing:
        raise typer.Exit(FAILED)


def _tried(file: Path, policy: Policy, contact_entry_days: int) -> list[Tried]:
    try:
        source = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise PolicyInvalid(f"{file}:{line}:1: this is not UTF-8; save the file as UTF-8") from None
    except OSError as error:
        raise PolicyInvalid(
            f"{file}:1:1: cannot be read: {error.strerror}; name a file of cases"
        ) from None
    cases = read_cases(file.name, source, str(file.parent))
    return [try_case(case, policy, contact_entry_days) for case in cases]


def _report(tried: list[Tried], covered: list[Covered], *, with_coverage: bool) -> dict[str, Any]:
    report: dict[str, Any] = {
        "cases": {
            each.case.id: {
                "passed": not differences(each),
                "line": each.case.line,
                "differences": [
                    {"what": one.what, "expected": one.expected, "found": one.found}
                    for one in differences(each)
                ],
            }
            for each in tried
        }
    }
    if with_coverage:
        report["coverage"] = {
            each.rule.id: {
                "file": each.rule.file,
                "line": each.rule.line,
                "matched_by": list(each.matched_by),
                "missed_by": list(each.missed_by),
            }
            for each in covered
        }
    return report


def _tell_failed(directory: Path, tried: Tried) -> None:
    typer.echo(f"{directory / TESTS}:{tried.case.line}:1: {tried.case.id} is not as expected")
    for difference in differences(tried):
        typer.echo(f"    {difference.what}")
        typer.echo(f"      - {difference.expected}")
        typer.echo(f"      + {difference.found}")


def _tell_coverage(directory: Path, covered: list[Covered]) -> None:
    for each in covered:
        shown = (
            f"{len(each.matched_by)} match, {len(each.missed_by)} just miss"
            if each.whole
            else "NO CASE " + " or ".join(_lacking(each))
        )
        place = f"{directory / each.rule.file}:{each.rule.line}:1"
        typer.echo(f"{place}: {each.rule.id}: {shown}")


def _lacking(covered: Covered) -> list[str]:
    lacking = [] if covered.matched_by else ["matches"]
    return lacking if covered.missed_by else [*lacking, "just misses"]
