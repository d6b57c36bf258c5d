"""The folder an embedded cluster keeps its data in, and the marker that says whose it is."""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64encode
from dataclasses import asdict, dataclass
from pathlib import Path

from streams.errors import EmbeddedBrokerError

_MARKER = "embedded-kafka.json"


@dataclass(frozen=True, slots=True)
class ClusterIdentity:
    """What must not change between two starts on the same folder."""

    kafka_version: str
    brokers: int
    cluster_id: str


def claimed(folder: Path, kafka_version: str, brokers: int) -> ClusterIdentity:
    """
    Return the identity of the cluster in ``folder``, making folder and identity if there is none.

    Raises EmbeddedBrokerError when the folder belongs to another version of Kafka, to another
    number of brokers, or to something that is no embedded Kafka, and when it cannot be written.
    """
    marker = folder / _MARKER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if marker.exists():
            found = ClusterIdentity(**json.loads(marker.read_text(encoding="utf-8")))
        elif any(folder.iterdir()):
            raise EmbeddedBrokerError(
                f"{folder} holds files but no embedded Kafka ({_MARKER} is missing).\n"
                "Name an empty folder, or one that does not exist yet."
            )
        else:
            found = ClusterIdentity(kafka_version, brokers, _new_cluster_id())
            marker.write_text(json.dumps(asdict(found)) + "\n", encoding="utf-8")
    except OSError as error:
        raise EmbeddedBrokerError(
            f"The data folder {folder} cannot be used: {error.strerror}."
        ) from error
    except (ValueError, TypeError) as error:
        raise EmbeddedBrokerError(
            f"{marker} cannot be read. Name another data folder, or remove this one."
        ) from error
    if found.kafka_version != kafka_version:
        raise EmbeddedBrokerError(
            f"{folder} was written by Kafka {found.kafka_version}; this is Kafka {kafka_version}.\n"
            "Name another data folder, or remove this one if its records are not needed."
        )
    if found.brokers != brokers:
        raise EmbeddedBrokerError(
            f"{folder} belongs to a cluster of {found.brokers} broker(s), not of {brokers}.\n"
            f"Start it with {found.brokers}, or name another data folder."
        )
    return found


def _new_cluster_id() -> str:
    """Return 16 random bytes in URL-safe base64; Kafka's own never begin with a dash either."""
    while True:
        cluster_id = urlsafe_b64encode(secrets.token_bytes(16)).decode("ascii").rstrip("=")
        if not cluster_id.startswith("-"):
            return cluster_id
