"""
One codec for each record, all of a process in :class:`Codecs`.

Reading: the first bytes say which schema wrote the value. The current one is read as it is, by
:mod:`streams.codec.decoder` and where that is in doubt by fastavro; every other known one is
resolved to the current one by Avro's rules, by fastavro alone. Which others are known: those in
``schemas/history``, and those whose id the registry knows.

Nothing here tells an error what was in a value (guarantee I7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from fastavro import schemaless_reader

from streams.codec import framing, schemas
from streams.codec.decoder import Decode, decoder_of
from streams.codec.encoder import Encode, encoder_of
from streams.codec.plain import builder_of
from streams.codec.resolution import objection
from streams.codec.schemas import Schema
from streams.errors import SchemaError, Undecodable
from streams.records.contacts import (
    ContactsScreened,
    ContactsUploaded,
    UploadCompleted,
    UploadSplit,
    UploadWithdrawn,
)
from streams.records.counted import HourCounted
from streams.records.decisions import (
    LedgerRecord,
    LossRecord,
    PolicyArchived,
    QuarantinedSms,
    SmsDecision,
)
from streams.records.events import Campaign, ConsentEvent, ContactEntry, NameConsent
from streams.records.inbound import InboundSms, UncertainReply
from streams.records.numbers import NumberUnchecked
from streams.records.record import Record
from streams.records.requests import SmsRequested
from streams.records.sends import SendsRemembered
from streams.records.subject import Position, SubjectKey, SubjectState
from streams.records.templates import Template
from streams.topology import TOPICS, TopicNames

if TYPE_CHECKING:
    from streams.codec.registry import SchemaRegistry

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class _Writer:
    """How to read what one schema wrote: ``reader`` is None where no resolution is needed."""

    parsed: dict[str, Any]
    reader: dict[str, Any] | None
    body_at: int


@lru_cache
def _functions(
    record: type[Any], schema: Schema
) -> tuple[Callable[[dict[str, Any]], Any], Encode, Decode[Any]]:
    """
    Give what builds a record of fastavro's dict, encodes it, and decodes it; written out once.

    They keep nothing between two calls. A process may open its codecs often: a worker does so for
    each agent.
    """
    return builder_of(record), encoder_of(schema.parsed), decoder_of(schema.parsed, record)


class RecordCodec(Generic[R]):
    """
    Bytes of one kind of record, and back. Not thread-safe.

    ``written_as`` is the schema reference that goes before what this codec writes.
    """

    def __init__(
        self,
        record: type[R],
        schema: Schema,
        replaced: list[Schema],
        written_as: framing.SchemaRef | None = None,
        registry: SchemaRegistry | None = None,
    ) -> None:
        self.schema = schema
        self._record = record
        self._registry = registry
        self._build: Callable[[dict[str, Any]], R]
        self._decode: Decode[R]
        # A class can be hashed, whatever mypy thinks of one whose instances cannot.
        found = _functions(record, schema)  # type: ignore[arg-type]
        self._build, self._encode, self._decode = found
        self._header = framing.header(written_as or framing.Fingerprint(schema.fingerprint))
        self._writers: dict[bytes, _Writer] = {}
        self._refused: dict[bytes, str] = {}
        self._bare = _Writer(schema.parsed, None, 0)
        for each in (*replaced, schema):
            self._learn(framing.header(framing.Fingerprint(each.fingerprint)), each)
        self._learn(self._header, schema)

    def decode(self, raw: bytes | None) -> R:
        """
        Read one framed value.

        Raises :class:`Undecodable` for everything that is not one whole record of this kind, never
        anything else and never with any of its content; :class:`RegistryUnavailable` when the
        value names an id that is not known and the registry cannot be asked: only then, and for an
        id never seen before, does it block (:data:`streams.codec.registry.ANSWER_SECONDS`).

        Bytes that no writer makes may still give a record: fastavro counts a negative index of a
        union or an enum from the end, and any byte but 0 is true. It is then judged as what it
        says, like any other.
        """
        if not raw:
            raise self._undecodable("the value is empty")
        header = raw[: framing.SINGLE_OBJECT_BYTES if raw[0] else framing.CONFLUENT_BYTES]
        writer = self._writers.get(header) or self._writer(raw)
        return self._read(raw, writer)

    def encode(self, record: R) -> bytes:
        """Write one record, framed."""
        return self._header + self._encode(record)

    def encode_body(self, record: R) -> bytes:
        """Write one record's Avro body, with nothing before it."""
        return self._encode(record)

    def frame(self, body: bytes) -> bytes:
        """Put this codec's header before a body that the current schema wrote."""
        return self._header + body

    def decode_body(self, body: bytes) -> R:
        """Read one body that the current schema wrote. Raises :class:`Undecodable`."""
        return self._read(body, self._bare)

    def body_of(self, raw: bytes | None) -> bytes:
        """
        Take the header from a framed value whose schema is known; the body is as it was written.

        Raises as :meth:`decode` does, but does not look into the body.
        """
        if not raw:
            raise self._undecodable("the value is empty")
        return raw[self._writer(raw).body_at :]

    def _read(self, raw: bytes, writer: _Writer) -> R:
        if writer.reader is None:
            try:
                return self._decode(raw, writer.body_at)
            except Exception:  # noqa: BLE001, S110  # whatever it was: fastavro has the last word
                pass
        source = BytesIO(raw)
        source.seek(writer.body_at)
        try:
            plain = schemaless_reader(source, writer.parsed, writer.reader)
            if source.tell() == len(raw):
                return self._build(plain)  # type: ignore[arg-type]  # a record's value is a dict
            reason = "bytes follow the end of the record"
        except Exception as error:  # noqa: BLE001  # hostile bytes raise a dozen kinds in fastavro
            reason = f"the bytes do not fit its schema ({type(error).__name__})"
        # Raised out here, so that the error above, which may quote the value, is not attached.
        raise self._undecodable(reason)

    def _writer(self, raw: bytes) -> _Writer:
        schema, body_at = self._unframe(raw)
        header = raw[:body_at]
        writer = self._writers.get(header)
        if writer is None:
            match schema:
                case framing.Fingerprint(value):
                    raise self._undecodable(f"no known schema has the fingerprint {value.hex()}")
                case framing.RegistryId(value):
                    writer = self._ask(header, value)
        return writer

    def _unframe(self, raw: bytes) -> tuple[framing.SchemaRef, int]:
        try:
            return framing.unframe(raw)
        except Undecodable as error:
            reason = str(error)
        raise self._undecodable(reason)

    def _ask(self, header: bytes, schema_id: int) -> _Writer:
        if self._registry is None:
            raise self._undecodable(
                f"it names schema {schema_id} of a schema registry, and none is configured"
            )
        if header not in self._refused:
            where = f"schema {schema_id} of the registry"
            try:
                written = schemas.parse(self._registry.text_of(schema_id), where)
            except SchemaError as error:
                self._refused[header] = str(error)
            except Undecodable as error:
                raise self._undecodable(str(error)) from None
            else:
                against = objection(written, self.schema)
                if against is None:
                    return self._learn(header, written)
                self._refused[header] = f"{where} {against}"
        raise self._undecodable(self._refused[header])

    def _learn(self, header: bytes, written: Schema) -> _Writer:
        same = written.fingerprint == self.schema.fingerprint
        writer = _Writer(
            parsed=self.schema.parsed if same else written.parsed,
            reader=None if same else self.schema.parsed,
            body_at=len(header),
        )
        self._writers[header] = writer
        return writer

    def _undecodable(self, reason: str) -> Undecodable:
        return Undecodable(f"not a {self._record.__name__}: {reason}")


@dataclass(frozen=True, slots=True)
class Codecs:
    """The codecs of one process, one for each record."""

    requests: RecordCodec[SmsRequested]
    consent_events: RecordCodec[ConsentEvent]
    contact_entries: RecordCodec[ContactEntry]
    name_consents: RecordCodec[NameConsent]
    campaigns: RecordCodec[Campaign]
    templates: RecordCodec[Template]
    subject_states: RecordCodec[SubjectState]
    subject_keys: RecordCodec[SubjectKey]
    positions: RecordCodec[Position]
    sends: RecordCodec[SendsRemembered]
    decisions: RecordCodec[SmsDecision]
    quarantined: RecordCodec[QuarantinedSms]
    ledger: RecordCodec[LedgerRecord]
    losses: RecordCodec[LossRecord]
    policies: RecordCodec[PolicyArchived]
    uploads: RecordCodec[ContactsUploaded]
    upload_withdrawals: RecordCodec[UploadWithdrawn]
    splits: RecordCodec[UploadSplit]
    screened: RecordCodec[ContactsScreened]
    receipts: RecordCodec[UploadCompleted]
    inbound: RecordCodec[InboundSms]
    uncertain: RecordCodec[UncertainReply]
    counted: RecordCodec[HourCounted]
    unchecked: RecordCodec[NumberUnchecked]


def open_codecs(
    schema_registry_url: str | None = None,
    registry_conf: Mapping[str, str] | None = None,
    topic_names: TopicNames | None = None,
) -> Codecs:
    """
    Open the codecs of this process.

    With a registry each schema is looked up under its subject, or registered there, once: blocks
    for a score of questions. Raises :class:`SchemaError` when the registry does not answer or
    refuses one, :class:`ConfigError` when its settings cannot be used. ``registry_conf`` goes to
    Confluent's client, ``topic_names`` gives the subjects their topics.
    """
    current = {record: schemas.current(record) for record in RECORDS}
    registry = None
    ids: dict[str, int] = {}
    names = topic_names or TopicNames()
    if schema_registry_url is not None:
        # Its client takes half a second to import: not for those who have no registry.
        from streams.codec.registry import SchemaRegistry

        registry = SchemaRegistry(schema_registry_url, registry_conf or {})
        ids = registry.ids_of(
            {subject_of(record, names): schema.text for record, schema in current.items()}
        )

    def of(record: type[R]) -> RecordCodec[R]:
        registered = ids.get(subject_of(record, names))
        return RecordCodec(
            record,
            current[record],
            schemas.history(record),
            None if registered is None else framing.RegistryId(registered),
            registry,
        )

    return Codecs(
        requests=of(SmsRequested),
        consent_events=of(ConsentEvent),
        contact_entries=of(ContactEntry),
        name_consents=of(NameConsent),
        campaigns=of(Campaign),
        templates=of(Template),
        subject_states=of(SubjectState),
        subject_keys=of(SubjectKey),
        positions=of(Position),
        sends=of(SendsRemembered),
        decisions=of(SmsDecision),
        quarantined=of(QuarantinedSms),
        ledger=of(LedgerRecord),
        losses=of(LossRecord),
        policies=of(PolicyArchived),
        uploads=of(ContactsUploaded),
        upload_withdrawals=of(UploadWithdrawn),
        splits=of(UploadSplit),
        screened=of(ContactsScreened),
        receipts=of(UploadCompleted),
        inbound=of(InboundSms),
        uncertain=of(UncertainReply),
        counted=of(HourCounted),
        unchecked=of(NumberUnchecked),
    )


def subject_of(record: type[Record], names: TopicNames) -> str:
    """
    Give the registry's subject for a record: ``<topic>-value``, as every Confluent client expects.

    Where two kinds of record share a topic, ``<topic>-<full name of the record>``: under one
    subject they would be versions of each other.
    """
    topic = next(each for each in TOPICS if record.__name__ in each.schemas)
    if len(topic.schemas) == 1:
        return f"{names.of(topic)}-value"
    return f"{names.of(topic)}-{schemas.current(record).name}"


RECORDS: tuple[type[Record], ...] = (
    SmsRequested,
    ConsentEvent,
    ContactEntry,
    NameConsent,
    Campaign,
    Template,
    SubjectState,
    SubjectKey,
    Position,
    SendsRemembered,
    SmsDecision,
    QuarantinedSms,
    LedgerRecord,
    LossRecord,
    PolicyArchived,
    ContactsUploaded,
    UploadWithdrawn,
    UploadSplit,
    ContactsScreened,
    UploadCompleted,
    InboundSms,
    UncertainReply,
    HourCounted,
    NumberUnchecked,
)
"""Every record that has a schema, in the order of :class:`Codecs`."""
