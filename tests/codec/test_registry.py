"""A registry that does not answer: a clear stop at start, a stall for what is new, else nothing."""

import pytest

from streams.codec import framing, registry
from streams.codec.codec import RECORDS, open_codecs
from streams.codec.framing import RegistryId
from streams.codec.registry import SchemaRegistry
from streams.codec.schemas import schema_text
from streams.errors import ConfigError, RegistryUnavailable, SchemaError, Undecodable
from streams.testing.records import an_sms_requested
from tests.contract.confluent_fake import FakeRegistry


@pytest.fixture
def fake():
    with FakeRegistry() as server:
        yield server


NEW = framing.frame(b"body", RegistryId(77))


def test_a_registry_that_is_down_at_start_is_a_clear_stop(fake):
    fake.stop()

    with pytest.raises(SchemaError, match="does not answer") as caught:
        open_codecs(fake.url.replace("//", "//user:secret@"))
    assert fake.url.removeprefix("http://") in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "schema_registry_url" in str(caught.value)


@pytest.mark.parametrize("status", [401, 500, 503])
def test_a_registry_that_refuses_at_start_is_a_clear_stop(fake, status):
    fake.failing = status

    with pytest.raises(SchemaError, match=f"answered {status} for the subject sms.requested-value"):
        open_codecs(fake.url)


def test_each_schema_is_looked_up_once_and_registered_only_where_it_is_new(fake):
    open_codecs(fake.url)
    assert sum(each.endswith("/versions") for each in fake.asked) == len(RECORDS)

    fake.asked.clear()
    open_codecs(fake.url)
    assert len(fake.asked) == len(RECORDS)
    assert not any(each.endswith("/versions") for each in fake.asked)


def test_known_ids_outlive_the_registry(fake):
    codecs = open_codecs(fake.url)
    other = open_codecs(fake.url)
    raw = other.requests.encode(an_sms_requested())
    fake.stop()

    assert codecs.requests.decode(raw) == an_sms_requested()
    assert codecs.requests.encode(an_sms_requested()) == raw


def test_a_foreign_id_is_asked_for_once(fake):
    codecs = open_codecs(fake.url)
    fake.schemas[77] = dict(fake.schemas[1])
    raw = framing.frame(codecs.requests.encode_body(an_sms_requested()), RegistryId(77))
    fake.asked.clear()

    assert codecs.requests.decode(raw) == an_sms_requested()
    fake.stop()
    assert codecs.requests.decode(raw) == an_sms_requested()
    assert fake.asked == ["GET schemas/ids/77"]


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_an_unknown_id_while_the_registry_refuses_is_a_stall(fake, status):
    codecs = open_codecs(fake.url)
    fake.failing = status

    with pytest.raises(RegistryUnavailable, match=f"answered {status}"):
        codecs.requests.decode(NEW)


def test_an_unknown_id_while_the_registry_is_down_is_a_stall(fake):
    codecs = open_codecs(fake.url)
    fake.stop()

    for read in (codecs.requests.decode, codecs.requests.body_of):
        with pytest.raises(RegistryUnavailable):
            read(NEW)


def test_an_unanswered_question_is_not_repeated_at_once(fake, monkeypatch):
    codecs = open_codecs(fake.url)
    fake.asked.clear()
    fake.failing = 503
    for number in range(100):
        with pytest.raises(RegistryUnavailable):
            codecs.requests.decode(framing.frame(b"body", RegistryId(1000 + number)))
    assert len(fake.asked) < 10

    fake.failing = None
    now = registry.time.monotonic()
    monkeypatch.setattr(registry.time, "monotonic", lambda: now + registry.QUIET_SECONDS + 1)
    with pytest.raises(Undecodable, match="has no schema 1000"):
        codecs.requests.decode(framing.frame(b"body", RegistryId(1000)))


def test_an_absent_id_is_asked_for_again_only_after_a_while(fake, monkeypatch):
    codecs = open_codecs(fake.url)
    fake.asked.clear()
    for _ in range(100):
        with pytest.raises(Undecodable, match="has no schema 77"):
            codecs.requests.decode(NEW)
    assert fake.asked == ["GET schemas/ids/77"]

    fake.schemas[77] = dict(fake.schemas[1])
    now = registry.time.monotonic()
    monkeypatch.setattr(registry.time, "monotonic", lambda: now + registry.ABSENT_SECONDS + 1)
    body = codecs.requests.encode_body(an_sms_requested())
    assert codecs.requests.decode(framing.frame(body, RegistryId(77))) == an_sms_requested()


def test_an_answer_without_a_schema_is_a_stall(fake):
    codecs = open_codecs(fake.url)
    fake.schemas[77] = {}

    with pytest.raises(RegistryUnavailable, match="holds no schema"):
        codecs.requests.decode(NEW)


@pytest.mark.parametrize(
    "no_good",
    [
        {"schema": '{"type": "record", "name": "SmsRequested"}'},
        {"schema": '{"type": "object"}', "schemaType": "JSON"},
        {"schema": schema_text("consent_event")},
    ],
)
def test_a_schema_that_is_no_good_is_asked_for_once(fake, no_good):
    codecs = open_codecs(fake.url)
    fake.schemas[77] = no_good
    fake.asked.clear()

    for _ in range(2):
        with pytest.raises(Undecodable, match="schema 77 of the registry"):
            codecs.requests.decode(NEW)
    assert fake.asked == ["GET schemas/ids/77"]


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("ftp://127.0.0.1", {}),
        ("http://127.0.0.1", {"no.such.setting": "1"}),
        ("http://127.0.0.1", {"timeout": "soon"}),
        ("http://127.0.0.1", {"ssl.ca.location": "/nowhere"}),
    ],
)
def test_settings_that_the_client_refuses_are_a_clear_stop(url, settings):
    with pytest.raises(ConfigError) as caught:
        SchemaRegistry(url.replace("//", "//user:secret@"), settings)
    assert "secret" not in str(caught.value)


def test_numbers_may_be_given_as_text(fake):
    SchemaRegistry(fake.url, {"timeout": "2.5", "max.retries": "1"})
