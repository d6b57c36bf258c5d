"""An embedded Kafka that, beside its plain listener, asks for a password, with TLS and without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from streams.broker.cluster import EmbeddedKafka
from streams.broker.ports import free_ports
from streams.broker.server_properties import LOOPBACK
from tests.processors.certificates import self_signed

USER, PASSWORD = "consent-gate", "correct-horse"


@dataclass(frozen=True)
class SecuredKafka:
    """Where it listens, and the ``kafka`` settings with which it is spoken to."""

    by_password: str
    password_settings: Mapping[str, str]
    by_tls: str
    tls_settings: Mapping[str, str]


@contextmanager
def secured_kafka(folder: Path) -> Iterator[SecuredKafka]:
    """Run one until the block ends; the certificate that it is known by goes into ``folder``."""
    plain, password, tls, controller = free_ports(4)
    certificate, key = self_signed(1)
    trusted = folder / "kafka.pem"
    trusted.write_text(certificate)
    listeners = {
        "PLAINTEXT": plain,
        "CONTROLLER": controller,
        "SASL_PLAINTEXT": password,
        "SASL_SSL": tls,
    }
    written = {name: f"{name}://{LOOPBACK}:{port}" for name, port in listeners.items()}
    plain_users = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'user_{USER}="{PASSWORD}";'
    )
    settings = {
        "listeners": ",".join(written.values()),
        "advertised.listeners": ",".join(v for k, v in written.items() if k != "CONTROLLER"),
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
        "SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        "listener.name.sasl_plaintext.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config": plain_users,
        "listener.name.sasl_ssl.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "listener.name.sasl_ssl.ssl.keystore.type": "PEM",
        "listener.name.sasl_ssl.ssl.keystore.certificate.chain": certificate,
        "listener.name.sasl_ssl.ssl.keystore.key": key,
    }
    with EmbeddedKafka(port=plain, settings=settings) as kafka:
        _let_in(kafka.bootstrap_servers)
        login = {"sasl.username": USER, "sasl.password": PASSWORD}
        yield SecuredKafka(
            f"{LOOPBACK}:{password}",
            {"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", **login},
            f"{LOOPBACK}:{tls}",
            {
                "security.protocol": "sasl_ssl",
                "sasl.mechanism": "SCRAM-SHA-512",
                "ssl.ca.location": str(trusted),
                **login,
            },
        )


def _let_in(bootstrap_servers: str) -> None:
    """Make the user whose password is kept by the cluster itself."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    user = UserScramCredentialUpsertion(USER, how, PASSWORD.encode())
    for made in admin.alter_user_scram_credentials([user]).values():
        made.result(30)
