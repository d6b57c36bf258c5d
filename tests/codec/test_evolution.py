"""A record of another version of its schema is read with the current one, or not at all."""

import json
from io import BytesIO

import pytest
from fastavro import schemaless_writer

from streams.codec import framing, schemas
from streams.codec.codec import RECORDS, RecordCodec
from streams.codec.compatibility import incompatible_changes
from streams.codec.framing import Fingerprint
from streams.codec.resolution import objection
from streams.errors import SchemaError, Undecodable
from streams.records.events import Basis, ConsentEvent, Scope, Source
from streams.records.requests import Initiator, SmsRequested
from streams.records.subject import Position
from streams.testing.records import a_consent_event, a_position, an_sms_requested


def fields_of(schema):
    return {each["name"]: each for each in schema["fields"]}


def current_json(record):
    return json.loads(schemas.schema_text(schemas.file_name(record)))


def without(record, *names):
    """A made-up older version: the current schema before these fields were added."""
    schema = current_json(record)
    schema["fields"] = [each for each in schema["fields"] if each["name"] not in names]
    return schema


def parsed(schema):
    return schemas.parse(json.dumps(schema), "a made-up version")


def written(old, plain):
    body = BytesIO()
    schemaless_writer(body, old.parsed, plain)
    return framing.frame(body.getvalue(), Fingerprint(old.fingerprint))


def codec_knowing(record, *replaced):
    return RecordCodec(record, schemas.current(record), list(replaced))


REQUEST_V0 = parsed(
    without(
        SmsRequested,
        *("occasion", "initiator", "named_persons", "claims", "referral", "region"),
    )
)
PLAIN_REQUEST_V0 = {
    "request_id": "request-1",
    "recipient": "+12025550123",
    "requested_at": 1,
    "valid_until": None,
    "purpose": "otp",
    "campaign_id": None,
    "sender_id": "SHOP",
    "template_id": None,
    "template_params": {},
    "body": "Your code is 4711.",
}


def test_fields_that_an_old_writer_lacks_take_their_defaults():
    codec = codec_knowing(SmsRequested, REQUEST_V0)

    request = codec.decode(written(REQUEST_V0, PLAIN_REQUEST_V0))

    assert request.body == "Your code is 4711."
    assert request.initiator == Initiator()
    assert (request.named_persons, request.claims, request.region) == ((), (), None)


def test_reading_an_old_record_leaves_nothing_behind_for_the_next():
    codec = codec_knowing(SmsRequested, REQUEST_V0)
    raw = written(REQUEST_V0, PLAIN_REQUEST_V0)

    assert codec.decode(raw) == codec.decode(raw)
    assert codec.decode(codec.encode(an_sms_requested())) == an_sms_requested()


def test_defaults_that_are_bytes_enums_and_records_arrive_as_such():
    old_position = parsed(without(Position, "decision_hash", "key_check", "doubt"))
    plain = dict.fromkeys(fields_of(old_position.parsed), 0) | {"ledger_hash": b"h"}
    position = codec_knowing(Position, old_position).decode(written(old_position, plain))
    assert (position.decision_hash, position.key_check, position.ledger_hash) == (b"", b"", b"h")

    old_event = parsed(without(ConsentEvent, "basis", "scope"))
    event = a_consent_event()
    plain = {
        **{each: getattr(event, each) for each in fields_of(old_event.parsed)},
        "kind": "GRANTED",
        "source": "SELF_SERVICE",
    }
    read = codec_knowing(ConsentEvent, old_event).decode(written(old_event, plain))
    assert (read.basis, read.scope, read.source) == (Basis.IMPLIED, Scope(), Source.SELF_SERVICE)


def test_a_field_that_was_removed_since_is_skipped():
    old = current_json(Position)
    old["fields"].insert(1, {"name": "mood", "type": {"type": "map", "values": "string"}})
    old = parsed(old)
    plain = {each: getattr(a_position(partition=3), each, {}) for each in fields_of(old.parsed)}

    read = codec_knowing(Position, old).decode(written(old, plain | {"mood": {"a": "b"}}))

    assert read == a_position(partition=3)


def test_a_version_that_nobody_kept_is_undecodable():
    with pytest.raises(Undecodable, match=REQUEST_V0.fingerprint.hex()):
        codec_knowing(SmsRequested).decode(written(REQUEST_V0, PLAIN_REQUEST_V0))


def test_an_old_record_with_a_field_that_cannot_do_without_is_undecodable():
    old = parsed(without(SmsRequested, "recipient"))
    plain = {**PLAIN_REQUEST_V0, "initiator": {}, "named_persons": [], "claims": []}

    with pytest.raises(Undecodable, match="SchemaResolutionError"):
        codec_knowing(SmsRequested, old).decode(written(old, plain))


def test_an_enum_value_that_we_do_not_know_is_undecodable():
    newer = current_json(ConsentEvent)
    fields_of(newer)["kind"]["type"]["symbols"].append("DECEASED")
    newer = parsed(newer)
    plain = {each: getattr(a_consent_event(), each) for each in fields_of(newer.parsed)} | {
        "kind": "DECEASED",
        "source": "OPERATOR",
        "basis": "EXPRESS",
        "scope": {},
    }

    with pytest.raises(Undecodable):
        codec_knowing(ConsentEvent, newer).decode(written(newer, plain))


# ------------------------------------------------------------- schemas/history and its safeguards


def kept(folder, record, schema, name=None):
    """Put a version into a history folder."""
    fingerprint = parsed(schema).fingerprint.hex()
    path = folder / f"{schemas.file_name(record)}-{name or fingerprint}.avsc"
    path.write_text(json.dumps(schema), encoding="utf-8")
    return fingerprint


def test_history_gives_a_records_own_versions(tmp_path):
    kept(tmp_path, SmsRequested, without(SmsRequested, "region"))
    kept(tmp_path, Position, without(Position, "written_at"))

    assert [each.name for each in schemas.history(SmsRequested, tmp_path)] == [
        "consentgate.SmsRequested"
    ]


def test_a_kept_version_that_was_changed_is_a_clear_stop(tmp_path):
    kept(tmp_path, SmsRequested, without(SmsRequested, "region"), name="0011223344556677")

    with pytest.raises(SchemaError, match="never changes"):
        schemas.history(SmsRequested, tmp_path)


def test_the_shipped_history_can_be_read_by_the_current_schemas():
    assert incompatible_changes() == []
    for record in RECORDS:
        schemas.history(record)


def test_added_fields_with_defaults_are_compatible(tmp_path):
    kept(tmp_path, SmsRequested, without(SmsRequested, "region", "claims", "initiator"))

    assert incompatible_changes(tmp_path) == []


def test_every_incompatible_change_is_named(tmp_path):
    added = kept(tmp_path, SmsRequested, without(SmsRequested, "purpose"))
    changed = current_json(Position)
    fields_of(changed)["request_offset"]["type"] = "string"
    fields_of(changed)["request_offset"]["default"] = ""
    retyped = kept(tmp_path, Position, changed)

    found = incompatible_changes(tmp_path)

    assert len(found) == 2
    assert f"SmsRequested of {added}" in found[0]
    assert "purpose" in found[0]
    assert f"Position of {retyped}" in found[1]


# --------------------------------------------------------------- foreign schemas that are refused


def test_another_namespace_is_the_same_record():
    theirs = current_json(SmsRequested) | {"namespace": "com.example.messaging"}

    assert objection(parsed(theirs), schemas.current(SmsRequested)) is None


def test_what_javas_code_generator_adds_to_a_schema_changes_nothing():
    theirs = current_json(SmsRequested)
    fields_of(theirs)["body"]["type"] = {"type": "string", "avro.java.string": "String"}

    assert parsed(theirs).fingerprint == schemas.current(SmsRequested).fingerprint


def test_another_kind_of_record_is_refused():
    against = objection(schemas.current(ConsentEvent), schemas.current(SmsRequested))

    assert against == "is of ConsentEvent"


@pytest.mark.parametrize(
    "theirs",
    [
        {"type": "long", "logicalType": "timestamp-micros"},
        ["null", {"type": "long", "logicalType": "timestamp-micros"}],
    ],
)
def test_time_in_microseconds_is_refused(theirs):
    schema = current_json(SmsRequested)
    fields_of(schema)["valid_until"]["type"] = theirs
    fields_of(schema)["valid_until"].pop("default")

    against = objection(parsed(schema), schemas.current(SmsRequested))

    assert "SmsRequested.valid_until in timestamp-micros" in against


def test_a_plain_long_is_taken_as_milliseconds():
    schema = current_json(SmsRequested)
    fields_of(schema)["requested_at"]["type"] = "long"

    assert objection(parsed(schema), schemas.current(SmsRequested)) is None


@pytest.mark.parametrize(
    ("theirs", "why"),
    [
        ({"type": "array", "items": "null"}, "no bytes"),
        (
            {"type": "array", "items": {"type": "record", "name": "Empty", "fields": []}},
            "no bytes",
        ),
        (
            {
                "type": "record",
                "name": "Node",
                "fields": [{"name": "next", "type": ["null", "Node"]}],
            },
            "within itself",
        ),
    ],
)
def test_a_type_that_a_few_bytes_could_blow_up_is_refused(theirs, why):
    schema = current_json(SmsRequested)
    schema["fields"].append({"name": "extra", "type": theirs})

    assert why in objection(parsed(schema), schemas.current(SmsRequested))
