"""The same `kafka` settings connect both clients, or are refused by name."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from streams.errors import ConfigError
from streams.processors.credentials import credentials_of
from tests.processors.certificates import self_signed


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate that signs itself, and its key in the same file."""
    path = tmp_path / "here.pem"
    path.write_text("".join(self_signed(7)))
    return path


def test_nothing_set_is_a_plain_connection() -> None:
    assert credentials_of({"linger.ms": "20"}) is None


def test_tls_trusts_only_what_was_named(certificate: Path) -> None:
    kafka = {
        "security.protocol": "ssl",
        "ssl.ca.location": str(certificate),
        "ssl.certificate.location": str(certificate),
        "ssl.key.location": str(certificate),
    }

    given = credentials_to_aiokafka_auth(credentials_of(kafka))

    assert given["security_protocol"] == "SSL"
    context = given["ssl_context"]
    assert isinstance(context, ssl.SSLContext)
    assert [each["serialNumber"] for each in context.get_ca_certs()] == ["07"]
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_host_name_goes_unchecked_only_if_that_is_said() -> None:
    kafka = {"security.protocol": "SSL", "ssl.endpoint.identification.algorithm": "none"}

    context = credentials_to_aiokafka_auth(credentials_of(kafka))["ssl_context"]

    assert not context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("named", ["sasl.mechanism", "sasl.mechanisms"])
@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_passwords_go_with_their_mechanism(protocol: str, named: str, mechanism: str) -> None:
    kafka = {
        "security.protocol": protocol.lower(),
        named: mechanism,
        "sasl.username": "worker",
        "sasl.password": "s3cret",
    }

    credentials = credentials_of(kafka)
    given = credentials_to_aiokafka_auth(credentials)

    assert given["security_protocol"] == protocol
    assert given["sasl_mechanism"] == mechanism
    assert (given["sasl_plain_username"], given["sasl_plain_password"]) == ("worker", "s3cret")
    assert (given["ssl_context"] is not None) == (protocol == "SASL_SSL")
    assert "s3cret" not in repr(credentials)


@pytest.mark.parametrize(
    ("kafka", "named"),
    [
        ({"ssl.keystore.location": "/x"}, "ssl.keystore.location"),
        ({"sasl.kerberos.principal": "x", "ssl.crl.location": "y"}, "sasl.kerberos.principal, ssl"),
        ({"security.protocol": "sasl_ssl", "sasl.mechanism": "OAUTHBEARER"}, "OAUTHBEARER"),
        ({"security.protocol": "sasl_ssl"}, "GSSAPI"),
        (
            {"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN"},
            "sasl.username and sasl.password",
        ),
        ({"security.protocol": "ssl", "ssl.ca.location": "/nowhere"}, "ssl.ca.location"),
        ({"security.protocol": "quic"}, "security.protocol"),
    ],
)
def test_what_cannot_be_mapped_is_refused_by_name(kafka: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        credentials_of(kafka)
