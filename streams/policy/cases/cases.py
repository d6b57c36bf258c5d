"""
A file of made-up cases, as ``consent-gate policy try`` reads it and a policy's ``tests.yaml`` is.

Each document (or each entry of a list) is one case::

    id: a-stop-is-a-stop
    at: 2026-05-01T10:00:00Z
    recipient: "+8613800000001"
    history:                       # in the order in which Kafka has it
      - consent_event: {kind: GRANTED, purpose: marketing, basis: EXPRESS}
      - consent_event: {kind: WITHDRAWN}
    request: {purpose: marketing, body: Come and see.}
    expect: {verdict: DROPPED, reasons: [SUPPRESSED]}      # in tests.yaml
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final, TypeAlias

import yaml

from streams.policy.cases.written import read_record
from streams.policy.documents import Document, every_document, is_null
from streams.policy.facts import VOCABULARY
from streams.policy.mistakes import Mistakes, nearest
from streams.policy.reasons import Reason
from streams.records.decisions import Outcome, SmsDecision
from streams.records.e164 import is_e164
from streams.records.events import (
    Campaign,
    CampaignState,
    ConsentEvent,
    ContactEntry,
    ContactKind,
    NameConsent,
    Source,
)
from streams.records.requests import SmsRequested
from streams.records.templates import Template

MOST_CHARACTERS: Final = 8 * 1024 * 1024
"""Of one file of cases: some 20,000 cases, which take minutes to parse."""

THIS_MESSAGE: Final = "this-message"
"""As ``confirmed_sha256``: the hash of the very recipient and body of the case."""

UNWRITTEN_BODY: Final = "A message. Reply STOP to end. 拒收请回复R"
"""
The body of a case that writes none. It says how to be stopped in words of every shipped law: a case
that is not about its text is not held for it.
"""

Said: TypeAlias = ConsentEvent | ContactEntry | NameConsent | Campaign | SmsDecision | Template

_TIME_FIELD: Final = {
    "consent_event": "occurred_at",
    "contact_entry": "uploaded_at",
    "name_consent": "occurred_at",
    "campaign": "since",
    "template": "approved_at",
    "decision": "decided_at",
}
DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """
    One record of a case's history, in the ``line`` of its file, from 1.

    ``appended_at`` is when Kafka would have appended it: at its own time, but not before the item
    above it and not after the decision.
    """

    line: int
    record: Said
    appended_at: int


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must come of a case. Null: not said. ``facts`` are some of the facts."""

    verdict: Outcome
    reasons: tuple[str, ...] | None
    basis: str | None
    hold_until: int | None
    releasable: bool | None
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """One made-up request at the time ``at``, and all that is known until then."""

    id: str
    file: str
    line: int
    at: int
    recipient: str
    history: tuple[HistoryItem, ...]
    request: SmsRequested
    expect: Expectation | None


def made_up_id(number: str) -> bytes:
    """
    Give the subject id that stands for a number in made-up cases: 16 bytes.

    Not the installation's keyed hash: a case must come out the same wherever it is tried.
    """
    return sha256(number.encode()).digest()[:16]


def read_cases(file: str, source: str, where: str) -> list[Case]:
    """
    Read all cases of ``source``, the text of ``file`` in the folder ``where``.

    Raises :class:`streams.errors.PolicyInvalid` with every mistake, a line each:
    ``file:line:column: what; remedy``.
    """
    mistakes = Mistakes(where)
    reading = _Reading()
    cases = []
    for document in every_document(file, source, mistakes, MOST_CHARACTERS):
        root = document.root
        if root is None:
            continue
        nodes = document.items(root, "a file") if isinstance(root, yaml.SequenceNode) else [root]
        cases += [reading.case(document, node) for node in nodes]
    mistakes.raise_if_any()
    return [case for case in cases if case is not None]


class _Reading:
    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def case(self, document: Document, node: yaml.Node) -> Case | None:
        before = document.mistakes
        entries = document.mapping(
            node, "a case", ("id", "request"), ("at", "recipient", "history", "expect", "about")
        )
        if document.mistakes > before:
            return None
        case_id = document.written(entries["id"], "id")
        line = node.start_mark.line + 1
        if case_id is not None and self._ids.setdefault(case_id, line) != line:
            document.wrong(
                entries["id"],
                f"the id {case_id} is taken by line {self._ids[case_id]}",
                "choose another",
            )
        request_node = entries["request"]
        stated = document.mapping(request_node, "request")
        at = _first(document, entries.get("at"), stated.get("requested_at"), Document.moment, "at")
        recipient = _first(
            document,
            entries.get("recipient"),
            stated.get("recipient"),
            Document.written,
            "recipient",
        )
        if at is None:
            document.wrong(node, "a case lacks at", "add a line `at: 2026-01-31T10:00:00Z`")
        if recipient is None:
            document.wrong(node, "a case lacks recipient", 'add a line `recipient: "+..."`')
        elif not is_e164(recipient):
            place = entries.get("recipient", request_node)
            document.wrong(
                place, "the recipient is not an E.164 number", "write + and 2 to 15 digits"
            )
        if document.mistakes > before or at is None or recipient is None or case_id is None:
            return None
        request = _request(document, request_node, case_id, at, recipient)
        history = _history(document, entries.get("history"), at, recipient, request)
        expect = _expectation(document, entries["expect"]) if "expect" in entries else None
        if document.mistakes > before or request is None:
            return None
        return Case(case_id, document.name, line, at, recipient, history, request, expect)


def _first(
    document: Document, node: yaml.Node | None, other: yaml.Node | None, read: Any, what: str
) -> Any:
    """Read the case's own entry, else the request's of the same meaning, if there is one."""
    for each in (node, other):
        if each is not None and not is_null(each):
            return read(document, each, what)
    return None


def _request(
    document: Document, node: yaml.Node, case_id: str, at: int, recipient: str
) -> SmsRequested | None:
    defaults = {
        "request_id": case_id,
        "recipient": recipient,
        "requested_at": at,
        "sender_id": "sender",
        "template_params": {},
        "body": UNWRITTEN_BODY,
    }
    request = read_record(document, node, SmsRequested, "request", defaults)
    if request is None:
        return None
    if request.recipient != recipient:
        document.wrong(
            node,
            "the request's recipient is not the case's",
            "write the recipient once, in the case",
        )
    evidence = request.initiator.evidence
    if evidence is None or evidence.confirmed_sha256 != THIS_MESSAGE:
        return request
    confirmed = sha256(f"{request.recipient}\n{request.body}".encode()).hexdigest()
    evidence = replace(evidence, confirmed_sha256=confirmed)
    return replace(request, initiator=replace(request.initiator, evidence=evidence))


def _history(
    document: Document,
    node: yaml.Node | None,
    at: int,
    recipient: str,
    request: SmsRequested | None,
) -> tuple[HistoryItem, ...]:
    """
    Read the history in its order.

    An item without a time of its own comes a millisecond after the one above it; before the first
    time that is written, a day before that.
    """
    if node is None or is_null(node) or (isinstance(node, yaml.SequenceNode) and not node.value):
        return ()
    nodes = document.items(node, "history")
    previous = min([at, *filter(None, (_time_written(item) for item in nodes))]) - DAY_MS
    items = []
    for number, item in enumerate(nodes):
        record = _said(document, item, number, previous + 1, recipient, request)
        if record is None:
            continue
        previous = min(max(previous, _time_of(record, previous + 1)), at)
        items.append(HistoryItem(item.start_mark.line + 1, record, previous))
    return tuple(items)


def _time_written(item: yaml.Node) -> int | None:
    """Look ahead for the time of an item; its mistakes are found when it is read."""
    silent = Document("", "", Mistakes(""), item)
    for kind, node in silent.mapping(item, "").items():
        fields = silent.mapping(node, "") if isinstance(node, yaml.MappingNode) else {}
        written = fields.get(_TIME_FIELD.get(kind, ""))
        if written is not None:
            return silent.moment(written, "")
    return None


def _time_of(record: Said, time: int) -> int:
    match record:
        case ConsentEvent() | NameConsent():
            return record.occurred_at
        case ContactEntry():
            return record.uploaded_at
        case Campaign():
            return record.since
        case SmsDecision():
            return record.decided_at
        case Template():
            return time if record.approved_at is None else record.approved_at


def _said(
    document: Document,
    item: yaml.Node,
    number: int,
    time: int,
    recipient: str,
    request: SmsRequested | None,
) -> Said | None:
    entries = document.mapping(item, "a history item", (), tuple(_TIME_FIELD))
    if len(entries) != 1:
        document.wrong(
            item,
            f"a history item holds {len(entries)} records",
            f"write one of {', '.join(_TIME_FIELD)} in each",
        )
        return None
    ((kind, node),) = entries.items()
    match kind:
        case "consent_event":
            return read_record(
                document,
                node,
                ConsentEvent,
                kind,
                {
                    "event_id": f"event-{number + 1}",
                    "subject": recipient,
                    "occurred_at": time,
                    "source": Source.SELF_SERVICE,
                },
            )
        case "contact_entry":
            return read_record(
                document,
                node,
                ContactEntry,
                kind,
                {
                    "entry_id": f"entry-{number + 1}",
                    "kind": ContactKind.ADDED,
                    "subject_id": made_up_id(recipient),
                    "partition": 0,
                    "uploader_id": made_up_id("uploader"),
                    "upload_id": f"upload-{number + 1}",
                    "position": 0,
                    "mandatory": False,
                    "undisclosed": False,
                    "uploaded_at": time,
                },
            )
        case "name_consent":
            return read_record(
                document, node, NameConsent, kind, {"granted": True, "occurred_at": time}
            )
        case "campaign":
            return read_record(
                document,
                node,
                Campaign,
                kind,
                {"state": CampaignState.ACTIVE, "by": "somebody", "since": time},
            )
        case "template":
            return read_record(
                document,
                node,
                Template,
                kind,
                {"version": 1, "purpose": request.purpose if request else "", "approved_at": time},
            )
        case _:
            return read_record(
                document, node, SmsDecision, kind, _earlier(recipient, request, number, time)
            )


def _earlier(
    recipient: str, request: SmsRequested | None, number: int, time: int
) -> dict[str, object]:
    """An earlier message like the case's own, which was sent."""
    return {
        "decision_id": f"decision-{number + 1}",
        "request_id": f"request-{number + 1}",
        "subject_id": made_up_id(recipient),
        "purpose": request.purpose if request else "",
        "campaign_id": request.campaign_id if request else None,
        "sender_id": request.sender_id if request else "",
        "template_id": request.template_id if request else None,
        "verdict": Outcome.ALLOWED,
        "reasons": (),
        "policy_version": "",
        "facts": {},
        "request_partition": 0,
        "request_offset": number,
        "attempt": 0,
        "sequence": number,
        "consent_offset": 0,
        "contacts_offset": 0,
        "broadcast_offsets": {},
        "decided_at": time,
        "previous": b"",
    }


def _expectation(document: Document, node: yaml.Node) -> Expectation | None:
    entries = document.mapping(
        node, "expect", ("verdict",), ("reasons", "basis", "hold_until", "releasable", "facts")
    )
    verdict = document.written(entries["verdict"], "verdict") if "verdict" in entries else None
    outcomes = {outcome.value: outcome for outcome in Outcome}
    if verdict is not None and verdict not in outcomes:
        document.wrong(
            entries["verdict"], f"the verdict cannot be {verdict!r}", nearest(verdict, outcomes)
        )
    reasons = None
    if "reasons" in entries:
        reasons = _reasons(document, entries["reasons"])
    basis = document.written(entries["basis"], "basis") if "basis" in entries else None
    hold_until = (
        document.moment(entries["hold_until"], "hold_until") if "hold_until" in entries else None
    )
    releasable = (
        document.boolean(entries["releasable"], "releasable") if "releasable" in entries else None
    )
    facts = _facts(document, entries["facts"]) if "facts" in entries else {}
    if verdict not in outcomes:
        return None
    return Expectation(outcomes[verdict], reasons, basis, hold_until, releasable, facts)


def _reasons(document: Document, node: yaml.Node) -> tuple[str, ...]:
    if isinstance(node, yaml.SequenceNode) and not node.value:
        return ()
    codes = []
    for text in document.texts(node, "reasons"):
        if text.value not in Reason.__members__:
            document.wrong(
                text, f"there is no reason {text.value}", nearest(text.value, Reason.__members__)
            )
        codes.append(text.value)
    return tuple(codes)


def _facts(document: Document, node: yaml.Node) -> dict[str, str]:
    facts = {}
    for fact, value_node in document.mapping(node, "facts", (), ("purpose", *VOCABULARY)).items():
        value = document.written(value_node, fact)
        kind = VOCABULARY.get(fact)
        if value is not None and kind is not None and value not in kind.__members__:
            document.wrong(
                value_node, f"{fact} cannot be {value}", nearest(value, kind.__members__)
            )
        elif value is not None:
            facts[fact] = value
    return facts
