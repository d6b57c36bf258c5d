"""
How Faust's client is to connect, from the same ``kafka`` settings that librdkafka's clients get.

Settings that decide whether a connection can be made and whether it is safe are mapped or refused,
never ignored: a worker that quietly left out ``ssl.ca.location`` would trust whom it should not.
Those that only tune librdkafka reach the worker's librdkafka clients and do not concern Faust's.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from faust.auth import SASLCredentials, SSLCredentials

from streams.errors import ConfigError

_MAPPED: Final = frozenset(
    {
        "security.protocol",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.username",
        "sasl.password",
        "ssl.ca.location",
        "ssl.ca.pem",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.key.password",
        "ssl.endpoint.identification.algorithm",
        "enable.ssl.certificate.verification",
    }
)
_CONNECTING: Final = ("ssl.", "sasl.", "security.", "enable.ssl.", "enable.sasl.", "oauthbearer")
_ALSO_CONNECTING: Final = frozenset({"broker.address.family", "client.dns.lookup"})
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def credentials_of(kafka: Mapping[str, str]) -> SASLCredentials | SSLCredentials | None:
    """
    Return Faust's credentials; None for a plain connection.

    Raises :class:`ConfigError` naming each setting that Faust's client has no counterpart for, and
    for certificates that cannot be read; never with a value of a secret.
    """
    unknown = sorted(
        key
        for key in kafka
        if (key.startswith(_CONNECTING) or key in _ALSO_CONNECTING) and key not in _MAPPED
    )
    if unknown:
        raise ConfigError(
            f"kafka: {', '.join(unknown)}: the worker's Faust client has no such setting. Give the "
            "worker a file of its own without it, and connect another way."
        )
    protocol = kafka.get("security.protocol", "plaintext").upper()
    match protocol:
        case "PLAINTEXT":
            return None
        case "SSL":
            return SSLCredentials(_context(kafka))
        case "SASL_PLAINTEXT":
            return _sasl(kafka, None)
        case "SASL_SSL":
            return _sasl(kafka, _context(kafka))
        case _:
            raise ConfigError(
                "kafka: security.protocol must be plaintext, ssl, sasl_plaintext or sasl_ssl."
            )


def _sasl(kafka: Mapping[str, str], context: ssl.SSLContext | None) -> SASLCredentials:
    mechanism = kafka.get("sasl.mechanism", kafka.get("sasl.mechanisms", "GSSAPI")).upper()
    if mechanism not in _MECHANISMS:
        raise ConfigError(
            f"kafka: sasl.mechanism is {mechanism}: the worker knows {', '.join(_MECHANISMS)}."
        )
    missing = [key for key in ("sasl.username", "sasl.password") if not kafka.get(key)]
    if missing:
        raise ConfigError(f"kafka: {' and '.join(missing)} must be set for {mechanism}.")
    return SASLCredentials(
        username=kafka["sasl.username"],
        password=kafka["sasl.password"],
        ssl_context=context,
        mechanism=mechanism,
    )


def _context(kafka: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    where = "ssl.ca.location"
    try:
        location = kafka.get(where, "probe")
        if location != "probe":
            # As librdkafka has it, only these are trusted then, not the system's as well.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            path = Path(location)
            context.load_verify_locations(
                **({"capath": location} if path.is_dir() else {"cafile": location})
            )
        elif "ssl.ca.pem" in kafka:
            where = "ssl.ca.pem"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata=kafka[where])
        where = "ssl.certificate.location"
        if where in kafka:
            context.load_cert_chain(
                kafka[where],
                kafka.get("ssl.key.location"),
                lambda: kafka.get("ssl.key.password", ""),
            )
    except (OSError, ValueError) as error:
        raise ConfigError(f"kafka: {where} cannot be used ({type(error).__name__}).") from None
    if kafka.get("ssl.endpoint.identification.algorithm", "https").lower() == "none":
        context.check_hostname = False
    if kafka.get("enable.ssl.certificate.verification", "true").lower() == "false":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
