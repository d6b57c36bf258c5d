"""``consent-gate state rebuild``: make a partition's state again from the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer

from streams.audit.topic_log import Progress as OffsetsDone
from streams.audit.topic_log import TopicLog
from streams.cli.context import settings_of
from streams.cli.progress import progress_shown
from streams.cli.state_asking import (
    checked_reason,
    partitions_of,
    until_stopped,
)
from streams.codec.codec import open_codecs
from streams.errors import GroupAtWork, LossUnanswered, ProofBroken
from streams.gate.rebuilding import Lost, Reading, read_partition
from streams.gate.rewriting import Answer, Rewriting, rewriting, settle, still_members
from streams.kafka.clients import administering
from streams.records.decisions import LossAnswer
from streams.sealing.keyring import open_keyring
from streams.topology import (
    CONSENT_EVENTS,
    CONSENT_LEDGER,
    CONTACTS_ENTRIES,
    SMS_REQUESTED,
    SUBJECTS_STATE,
    Topic,
)

MEANS: Final[dict[Topic, str]] = {
    CONSENT_EVENTS: "consent events that nobody folded: withdrawals may be among them",
    CONTACTS_ENTRIES: "address-book entries that nobody folded: numbers may look untainted",
    SUBJECTS_STATE: "what only the old state knew: who was held for an event that could not be "
    "read, whose number stood in an address book, withdrawals older than the ledger",
    CONSENT_LEDGER: "ledger records that are not proven: withdrawals may have been removed from it "
    "and grants added",
}


def rebuild(
    ctx: typer.Context,
    partition: Annotated[
        list[int] | None,
        typer.Option(help="This partition; may be given several times.", min=0, metavar="N"),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every partition.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")
    ] = False,
    accept_loss: Annotated[
        str | None,
        typer.Option(
            help="What is lost is lost: everybody's consent so far ends, until they consent anew.",
            metavar="REASON",
        ),
    ] = None,
    loss_restored: Annotated[
        str | None,
        typer.Option(
            help="What was lost was written again, or held no withdrawal: consents stand.",
            metavar="REASON",
        ),
    ] = None,
    despite_broken_chain: Annotated[
        bool,
        typer.Option("--despite-broken-chain", help="Fold a ledger that cannot be proven."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, for scripts.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON, for scripts.")
    ] = False,
) -> None:
    """
    Make the state of a partition again, from the consent ledger and what else is left.

    For a partition that is held as `out_of_range`, and for a `subjects.state` that is gone or
    damaged. Begin with --dry-run: it may run beside the gates. To write, every gate must be
    stopped; a partition that is half written waits until this was run again.

    What was lost for good is named. It needs an answer, --accept-loss or --loss-restored, which is
    filed in the ledger, signed. Ends with 13 without one, with 12 while gates are at work, with 10
    when the ledger's chain is broken.
    """
    answer = _answer(accept_loss, loss_restored)
    settings = settings_of(ctx).settings
    keyring = open_keyring(settings.secrets_dir)
    codecs = open_codecs(settings.schema_registry_url, settings.schema_registry, settings.names)
    reports: list[dict[str, Any]] = []
    with administering(settings) as admin, TopicLog(settings) as log:
        wanted = partitions_of(log, partition or [], every=every)
        if yes and not dry_run and (at_work := still_members(admin, settings)):
            raise GroupAtWork(f"Gates are at work: {', '.join(at_work)}. Stop every gate first.")
        for number in wanted:
            if yes and not dry_run:
                settle(admin, log, settings, number)
            with _watching() as watch:
                reading = read_partition(log, settings, codecs, keyring, number, watch)
            reports.append(_report(reading))
            if not as_json:
                typer.echo(_words(reading))
            if dry_run:
                continue
            _refuse(reading, answer, despite_broken_chain=despite_broken_chain)
            if not yes:
                typer.confirm(_question(reading, answer), abort=True, err=True)
                until_stopped(admin, settings)
            with rewriting(settings, admin, log, codecs, keyring.signer) as writing:
                _write(writing, reading, answer)
            filed = answer if reading.lost or reading.doubted else None
            reports[-1] |= {"written": True, "answer": filed.answer.value if filed else None}
            if not as_json:
                typer.echo(f"Partition {number} is rebuilt.")
    if as_json:
        typer.echo(json.dumps(reports, indent=2))
    elif dry_run:
        typer.echo("Nothing was written.")
    else:
        typer.echo("Start the gates. They restore from the new state.")


def _answer(accept_loss: str | None, loss_restored: str | None) -> Answer | None:
    if accept_loss is not None and loss_restored is not None:
        raise typer.BadParameter("--accept-loss or --loss-restored, not both")
    if accept_loss is not None:
        return Answer(LossAnswer.CONSENTS_ENDED, checked_reason(accept_loss))
    if loss_restored is not None:
        return Answer(LossAnswer.RESTORED, checked_reason(loss_restored))
    return None


@contextmanager
def _watching() -> Iterator[Any]:
    with progress_shown() as shown:

        def watch(topic: Topic, number: int, offsets: int) -> OffsetsDone:
            task = shown.add_task(f"{topic.name} {number}", total=offsets)
            return lambda done: shown.advance(task, done)

        yield watch


def _write(writing: Rewriting, reading: Reading, answer: Answer | None) -> None:
    with progress_shown() as shown:
        task = shown.add_task(f"writing {reading.partition}", total=len(reading.rebuild.states))
        writing.rebuild(reading, answer, lambda states: shown.advance(task, states))


def _refuse(reading: Reading, answer: Answer | None, *, despite_broken_chain: bool) -> None:
    if reading.broken and not despite_broken_chain:
        raise ProofBroken(
            "The ledger cannot be proven, so nothing is rebuilt from it.\n"
            + "\n".join(reading.broken)
            + "\nWho could write to the topic? Nothing was written. If it is to be folded all the "
            "same: --despite-broken-chain, with an answer to what may be missing from it."
        )
    if reading.lost and answer is None:
        raise LossUnanswered(
            f"Partition {reading.partition}: what is lost needs an answer. Nothing was written.\n"
            "Can the services write again what they wrote in that time (withdrawals above all)? "
            'Let them, then: --loss-restored "who wrote what again".\n'
            'If not, or not tonight: --accept-loss "why". Then passwords that people ask for go '
            "out again, and nothing else does, except to those who consent anew; what is dropped "
            "stays dropped. --loss-restored can follow later and lifts it."
        )


def _question(reading: Reading, answer: Answer | None) -> str:
    said = f"Write the state of partition {reading.partition} anew?"
    if answer is None or not (reading.lost or reading.doubted or reading.standing):
        return said
    match answer.answer:
        case LossAnswer.CONSENTS_ENDED:
            return f"{said} Everybody's consent in it ends, and that is filed under your reason."
        case LossAnswer.RESTORED:
            return f"{said} Consents stand, and that nothing is missing is filed as your word."
        case LossAnswer.SKIPPED:
            raise AssertionError


def _report(reading: Reading) -> dict[str, Any]:
    tally, position = reading.rebuild.tally, reading.position
    return {
        "partition": reading.partition,
        "ledger": {
            "records": reading.ledger.records,
            "gone_by_retention": reading.ledger.gone,
            "broken": reading.broken,
        },
        "old_state": {
            "subjects": reading.old_states,
            "unreadable": reading.old_unreadable,
            "position": reading.old is not None,
            "current": reading.current,
        },
        "rebuilt": {
            "subjects": len(reading.rebuild.states),
            "consent_events": tally.events,
            "kept_refused": tally.kept_refused,
            "newly_refused": tally.newly_refused,
            "held_by_unreadable_events": sum(
                1 for state in reading.rebuild.states.values() if state.undecodable
            ),
        },
        "goes_on_from": {
            SMS_REQUESTED.name: position.request_offset,
            CONSENT_EVENTS.name: position.consent_offset,
            CONTACTS_ENTRIES.name: position.contacts_offset,
        },
        "lost": [_lost(each) for each in reading.lost],
        "lost_requests": _lost(reading.lost_requests) if reading.lost_requests else None,
        "in_doubt": [
            {"topic": loss.topic, "first": loss.first, "end": loss.end} for loss in reading.doubted
        ],
        "written": False,
        "answer": None,
    }


def _lost(lost: Lost) -> dict[str, Any]:
    return {"topic": lost.topic.name, "first": lost.first, "end": lost.end}


def _words(reading: Reading) -> str:
    """Say what was found, in lines for a terminal."""
    report = _report(reading)
    rebuilt, old, ledger = report["rebuilt"], report["old_state"], report["ledger"]
    chain = "proven" if not reading.broken else "NOT PROVEN"
    lines = [
        f"Partition {reading.partition}",
        f"  ledger      {ledger['records']:,} records, {chain}; {ledger['gone_by_retention']:,} "
        "older ones gone by retention",
        f"  old state   {old['subjects']:,} subjects"
        + (f", {old['unreadable']:,} records unreadable" if old["unreadable"] else "")
        + (": complete" if reading.current else ": not complete, used only where it restricts"),
        f"  rebuilt     {rebuilt['subjects']:,} subjects from {rebuilt['consent_events']:,} "
        f"events; {rebuilt['held_by_unreadable_events']:,} held for one that cannot be read",
        f"  goes on     sms.requested {reading.position.request_offset}, consent.events "
        f"{reading.position.consent_offset}, contacts.entries {reading.position.contacts_offset}; "
        "what stands there from then on the gate folds before it decides",
        "  untouched   data keys (subjects.keys), holds (sms.quarantined)",
    ]
    if rebuilt["kept_refused"] or rebuilt["newly_refused"]:
        lines.append(
            f"  stricter    {rebuilt['kept_refused']:,} events stay refused as the ledger has it, "
            f"{rebuilt['newly_refused']:,} that it applied are refused now"
        )
    lines += [f"  BROKEN      {text}" for text in reading.broken]
    for lost in reading.lost:
        where = f"{lost.topic.name} {lost.first} to {lost.end - 1}: " if lost.end else ""
        lines.append(f"  LOST        {where}{MEANS[lost.topic]}")
    for loss in reading.doubted:
        lines.append(
            f"  IN DOUBT    since a loss in {loss.topic} was accepted; --loss-restored lifts it"
        )
    if reading.lost_requests is not None:
        count = reading.lost_requests.end - reading.lost_requests.first
        lines.append(
            f"  REQUESTS    at most {count:,} were lost: `consent-gate state skip-lost --partition "
            f"{reading.partition}` afterwards"
        )
    return "\n".join(lines)
