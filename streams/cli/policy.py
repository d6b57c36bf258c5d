"""``consent-gate policy check`` and ``diff``: what the rules come to, before a gate loads them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli.policy_cases import run_tests, try_
from streams.errors import PolicyInvalid
from streams.policy.analysis.diff import Cause, Diff, Flip, Side, Stage
from streams.policy.analysis.diff import diff as compared
from streams.policy.analysis.findings import Finding, findings
from streams.policy.analysis.outcomes import Analysis
from streams.policy.analysis.space import FactTuple
from streams.policy.facts import VOCABULARY, nothing_known
from streams.policy.policy import Policy, load_policy

policy_app = typer.Typer(
    help="Check, compare and try out the rules that decide what may be sent.", no_args_is_help=True
)
policy_app.command("try")(try_)
policy_app.command("test")(run_tests)

MISTAKEN = 1
"""The exit status of a policy that can be loaded but does not say what was meant."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@policy_app.command()
def check(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The policy's folder.")],
    *,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 on a warning, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """
    Make every check that a gate makes before it loads the policy in DIR, and analyse it.

    Exits with 3, and every mistake with its place, where it cannot be loaded. Then looks for rules
    that can never match and for contradictory ones (exit status 1), and warns of rules that others
    make superfluous and of facts that no rule speaks of.
    """
    with _or_mistakes(directory, as_json=as_json):
        loaded = load_policy(directory)
        found = findings(Analysis(loaded))
    summary = _summary(loaded)
    if as_json:
        listed = [_finding(finding) for finding in found]
        typer.echo(json.dumps({"valid": True} | summary | {"findings": listed}, indent=2))
    else:
        for key, value in summary.items():
            if value == []:
                continue
            typer.echo(f"{key:<9} {', '.join(value) if isinstance(value, list) else value}")
        for finding in found:
            _tell(directory, finding)
    if any(strict or finding.kind.mistake for finding in found):
        raise typer.Exit(MISTAKEN)


@policy_app.command()
def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="The policy that is.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="The policy that would be.")],
    *,
    as_json: AsJson = False,
) -> None:
    """
    Say how many fact tuples end otherwise under B than under A, and which rules do it.

    Exact, over every tuple of facts that a message can have: this says what could come about, not
    how often it does. With each flip, the example that says least.
    """
    policies = []
    for directory in (before, after):
        with _or_mistakes(directory, as_json=as_json):
            policies.append(load_policy(directory))
    differing = compared(*policies)
    if as_json:
        typer.echo(json.dumps(_diff(differing, *policies), indent=2))
        return
    for name, loaded in zip("AB", policies, strict=True):
        typer.echo(f"{name}  {loaded.name} {loaded.edition}, version {loaded.version[:12]}")
    for line in _diff_lines(differing):
        typer.echo(line)


@contextmanager
def _or_mistakes(directory: Path, *, as_json: bool) -> Iterator[None]:
    """Print the mistakes of a policy that cannot be used, and exit."""
    try:
        yield
    except PolicyInvalid as invalid:
        mistakes = str(invalid).splitlines()
        if as_json:
            typer.echo(json.dumps({"valid": False, "mistakes": mistakes}, indent=2))
        else:
            count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
            typer.echo(f"{directory} cannot be used: {count}", err=True)
            for mistake in mistakes:
                typer.echo(mistake, err=True)
        raise typer.Exit(invalid.exit_code) from None


def _summary(loaded: Policy) -> dict[str, str | int | list[str]]:
    return {
        "policy": loaded.name,
        "edition": loaded.edition,
        "version": loaded.version,
        "purposes": sorted(loaded.purposes),
        "rules": len(loaded.rules),
        "observed": [rule.id for rule in loaded.observed],
        "facts": ["purpose", *VOCABULARY],
    }


def _tell(directory: Path, finding: Finding) -> None:
    weight = "mistake" if finding.kind.mistake else "warning"
    days = _days(finding.first, finding.end)
    place = f"{str(directory).rstrip('/')}/{finding.file}:{finding.line}:1"
    typer.echo(f"{place}: {weight}: {finding.what}{days}; {finding.remedy}")
    if finding.example is not None:
        typer.echo(f"    such as {_example(finding.example)}")


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind.value,
        "severity": "mistake" if finding.kind.mistake else "warning",
        "file": finding.file,
        "line": finding.line,
        "rules": list(finding.rules),
        "what": finding.what,
        "remedy": finding.remedy,
        "count": finding.count,
        "example": finding.example,
        "from": _day(finding.first),
        "until": _day(finding.end),
    }


def _diff(differing: Diff, before: Policy, after: Policy) -> dict[str, Any]:
    return {
        "a": {"policy": before.name, "edition": before.edition, "version": before.version},
        "b": {"policy": after.name, "edition": after.edition, "version": after.version},
        "facts": ["purpose", *VOCABULARY],
        "purposes": {
            "both": list(differing.purposes),
            "only_a": list(differing.only_before),
            "only_b": list(differing.only_after),
        },
        "confirm_otherwise": differing.confirm_otherwise,
        "periods": [_stage(stage) for stage in differing.stages],
    }


def _stage(stage: Stage) -> dict[str, Any]:
    return {
        "from": _day(stage.stretch.first),
        "until": _day(stage.stretch.end),
        "tuples": stage.tuples,
        "flips": [
            {
                "from": flip.before.value,
                "to": flip.after.value,
                "count": flip.count,
                "example": flip.example,
                "causes": [_cause(cause) for cause in flip.causes],
            }
            for flip in stage.flips
        ],
    }


def _cause(cause: Cause) -> dict[str, Any]:
    return {
        "policy": _letter(cause.side),
        "rule": cause.rule,
        "how": cause.how.value,
        "file": cause.file,
        "line": cause.line,
        "count": cause.count,
        "example": cause.example,
    }


def _diff_lines(differing: Diff) -> Iterator[str]:
    for name, purposes in (("A", differing.only_before), ("B", differing.only_after)):
        if purposes:
            yield (
                f"only {name} declares {', '.join(purposes)}: under the other, such messages are "
                "held (PURPOSE_UNKNOWN)"
            )
    if differing.confirm_otherwise:
        yield (
            "A and B want other consents confirmed, or let others lapse: what is GRANTED under one "
            "may be PENDING or EXPIRED under the other"
        )
    for stage in differing.stages:
        days = _days(stage.stretch.first, stage.stretch.end)
        yield ""
        if not stage.flips:
            yield f"None of {stage.tuples:,} fact tuples ends otherwise{days}."
            continue
        flipped = sum(flip.count for flip in stage.flips)
        yield f"{flipped:,} of {stage.tuples:,} fact tuples end otherwise{days}:"
        for flip in stage.flips:
            yield from _flip_lines(flip)


def _flip_lines(flip: Flip) -> Iterator[str]:
    yield f"  {flip.before.value} -> {flip.after.value}: {flip.count:,}"
    yield f"    such as {_example(flip.example)}"
    for cause in flip.causes:
        who = f"rule {cause.rule} of " if cause.rule is not None else ""
        letter = _letter(cause.side)
        yield (
            f"    {who}{letter} ({cause.file}:{cause.line}) {cause.how.value}: {cause.count:,}, "
            f"such as {_example(cause.example)}"
        )


def _letter(side: Side) -> str:
    return "A" if side is Side.BEFORE else "B"


def _example(facts: FactTuple) -> str:
    """Name the purpose and what is other than where nothing is known."""
    absent = nothing_known("").as_map()
    said = [f"{fact} {value}" for fact, value in facts.items() if value != absent[fact]]
    return ", ".join(said)


def _days(first: object, end: object) -> str:
    begin = f" from {first} on" if first is not None else ""
    return begin + (f" until {end}" if end is not None else "")


def _day(day: object) -> str | None:
    return None if day is None else str(day)
