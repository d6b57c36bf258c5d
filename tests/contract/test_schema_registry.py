"""
What the codec needs of a schema registry: the same suite on our fake and on a real one.

Each test has subjects of its own, so that one registry serves them all.
"""

import json
import secrets
import urllib.request
from io import BytesIO

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from fastavro import schemaless_writer

from streams.codec import framing, schemas
from streams.codec.codec import open_codecs, subject_of
from streams.codec.framing import RegistryId
from streams.codec.registry import SchemaRegistry
from streams.errors import SchemaError, Undecodable
from streams.records.requests import SmsRequested
from streams.testing.records import a_consent_event, a_position, a_subject_state, an_sms_requested
from streams.topology import CONSENT_EVENTS, TopicNames
from tests.contract.confluent_fake import FakeRegistry


@pytest.fixture(
    scope="module",
    params=["fake", pytest.param("apicurio", marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
)
def url(request, tmp_path_factory):
    if request.param == "fake":
        with FakeRegistry() as registry:
            yield registry.url
    else:
        from tests.contract.apicurio import apicurio  # needs what only some machines have

        with apicurio(tmp_path_factory.mktemp("apicurio")) as address:
            yield address


@pytest.fixture
def client(url):
    with SchemaRegistryClient({"url": url}) as client:
        yield client


@pytest.fixture
def names():
    return TopicNames(prefix=f"t{secrets.token_hex(4)}.")


def an_older_request_schema(**changes):
    schema = json.loads(schemas.schema_text("sms_requested"))
    schema["fields"] = [each for each in schema["fields"] if each["name"] != "region"]
    return json.dumps(schema | changes)


def put_backward(url, subject):
    question = urllib.request.Request(
        f"{url}/config/{subject}",
        data=json.dumps({"compatibility": "BACKWARD"}).encode(),
        headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
        method="PUT",
    )
    with urllib.request.urlopen(question, timeout=60) as answer:
        assert answer.status == 200


def test_a_schema_is_registered_once_and_looked_up_after_that(url, names):
    first = open_codecs(url, topic_names=names)
    second = open_codecs(url, topic_names=names)

    raw = first.requests.encode(an_sms_requested())
    assert raw[:1] == framing.CONFLUENT_MAGIC
    assert second.requests.encode(an_sms_requested()) == raw
    assert second.requests.decode(raw) == an_sms_requested()


def test_two_records_of_one_topic_are_two_subjects(url, names):
    codecs = open_codecs(url, topic_names=names)

    state, position = (
        codecs.subject_states.encode(a_subject_state()),
        codecs.positions.encode(a_position()),
    )

    assert state[:5] != position[:5]
    with pytest.raises(Undecodable, match="is of Position"):
        codecs.subject_states.decode(position)


def test_the_id_that_was_given_leads_back_to_the_schema(url, names):
    schema = schemas.current(SmsRequested)
    registry = SchemaRegistry(url, {})

    (schema_id,) = registry.ids_of({subject_of(SmsRequested, names): schema.text}).values()

    found = schemas.parse(registry.text_of(schema_id), "the registry")
    assert found.fingerprint == schema.fingerprint
    assert schemas.units(found) == schemas.units(schema)


def test_a_record_of_a_producers_older_schema_is_read(url, client, names):
    old = schemas.parse(an_older_request_schema(), "old")
    schema_id = client.register_schema(
        f"{secrets.token_hex(4)}-value", Schema(an_older_request_schema(), "AVRO")
    )
    plain = {each["name"]: None for each in old.parsed["fields"]} | {
        "request_id": "r",
        "recipient": "+12025550123",
        "requested_at": 1,
        "purpose": "otp",
        "sender_id": "SHOP",
        "template_params": {},
        "body": "4711",
        "initiator": {},
        "named_persons": [],
        "claims": [],
    }
    body = BytesIO()
    schemaless_writer(body, old.parsed, plain)

    codecs = open_codecs(url, topic_names=names)
    request = codecs.requests.decode(framing.frame(body.getvalue(), RegistryId(schema_id)))

    assert (request.body, request.region) == ("4711", None)
    assert codecs.requests.body_of(framing.frame(b"abc", RegistryId(schema_id))) == b"abc"


def test_confluents_own_serializer_and_ours_read_each_other(url, client, names):
    codecs = open_codecs(url, topic_names=names)
    where = SerializationContext(names.of(CONSENT_EVENTS), MessageField.VALUE)
    text = schemas.schema_text("consent_event")
    event = a_consent_event(region="US-TX")

    theirs = AvroDeserializer(client)(codecs.consent_events.encode(event), where)
    assert (theirs["event_id"], theirs["kind"]) == (event.event_id, "GRANTED")
    assert theirs["occurred_at"].timestamp() * 1000 == event.occurred_at

    raw = AvroSerializer(client, text)(theirs, where)
    assert codecs.consent_events.decode(raw) == event


def test_a_schema_that_breaks_the_subjects_rule_is_a_clear_stop(url, client, names):
    subject = subject_of(SmsRequested, names)
    other = {
        "type": "record",
        "name": "SmsRequested",
        "namespace": "consentgate",
        "fields": [{"name": "request_id", "type": "boolean"}],
    }
    client.register_schema(subject, Schema(json.dumps(other), "AVRO"))
    put_backward(url, subject)

    with pytest.raises(SchemaError, match=f"409 for the subject {subject}") as caught:
        open_codecs(url, topic_names=names)
    assert "not compatible" in str(caught.value)


def test_an_id_that_does_not_exist_is_undecodable(url, names):
    codecs = open_codecs(url, topic_names=names)

    with pytest.raises(Undecodable, match="has no schema 2000000000"):
        codecs.requests.decode(framing.frame(b"body", RegistryId(2_000_000_000)))


def test_an_id_of_another_format_is_undecodable(url, client, names):
    schema_id = client.register_schema(
        f"{secrets.token_hex(4)}-value",
        Schema('{"type": "object", "properties": {}, "title": "t"}', "JSON"),
    )

    with pytest.raises(Undecodable, match="not an Avro schema"):
        open_codecs(url, topic_names=names).requests.decode(
            framing.frame(b"{}", RegistryId(schema_id))
        )


def test_a_schema_in_pieces_is_undecodable_and_says_what_to_do(url, client, names):
    part = f"{secrets.token_hex(4)}-part"
    client.register_schema(part, Schema('{"type": "record", "name": "Part", "fields": []}', "AVRO"))
    whole = {
        "type": "record",
        "name": "SmsRequested",
        "fields": [{"name": "part", "type": "Part"}],
    }
    schema_id = client.register_schema(
        f"{secrets.token_hex(4)}-value",
        Schema(json.dumps(whole), "AVRO", [SchemaReference("Part", part, 1)]),
    )

    with pytest.raises(Undecodable, match="register it whole"):
        open_codecs(url, topic_names=names).requests.decode(
            framing.frame(b"x", RegistryId(schema_id))
        )
