"""
Heads: the last record of each chain, to be filed where nobody who can write to Kafka can write.

A signature proves that one of our gates wrote a record. A head that was filed elsewhere proves that
the record was there at that time: only it shows that the end of a chain was cut off, or that the
signing key was abused to write the chain anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from streams.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Head:
    """
    One signed record at the end of a partition's chain.

    ``topic`` is the project's own name of it. ``hash`` is hex, ``signed_by`` the id of the signing
    key, ``appended_at`` the record's time in Kafka in milliseconds since the epoch.
    """

    topic: str
    partition: int
    sequence: int
    hash: str
    signed_by: str
    appended_at: int


def write_heads(heads: Iterable[Head]) -> str:
    """Write heads as JSON lines; files of several days can be put one after the other."""
    return "".join(json.dumps(asdict(head)) + "\n" for head in heads)


def read_heads(path: Path) -> list[Head]:
    """
    Read a file of JSON lines.

    :raises ConfigError: it cannot be read, or a line of it is not a head.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The heads in {path} cannot be read: {error}") from error
    heads = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            heads.append(_head(json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                f"{path}:{number} is not a head as `consent-gate audit verify` prints it."
            ) from error
    return heads


def _head(fields: dict[str, object]) -> Head:
    head = Head(**fields)  # type: ignore[arg-type]  # checked below
    for name in ("topic", "hash", "signed_by"):
        if not isinstance(getattr(head, name), str):
            raise TypeError(name)
    for name in ("partition", "sequence", "appended_at"):
        if type(getattr(head, name)) is not int:
            raise TypeError(name)
    bytes.fromhex(head.hash)
    return head
