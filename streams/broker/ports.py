"""Free ports on loopback."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

from streams.broker.server_properties import LOOPBACK
from streams.errors import EmbeddedBrokerError

_RANGE = range(20_000, 32_000)
"""
Below the ports that systems give to outgoing connections (from 32768 on Linux, 49152 on macOS): a
client that keeps trying a stopped broker's port in that range can end up connected to itself.
"""

_ATTEMPTS = 500


def free_ports(count: int, but_not: Collection[int] = ()) -> list[int]:
    """Return ``count`` ports that nobody listened on a moment ago. They are not held."""
    candidates = random.sample(_RANGE, _ATTEMPTS)
    found: list[int] = []
    for port in candidates:
        if len(found) == count:
            return found
        if port not in but_not and not is_taken(port):
            found.append(port)
    raise EmbeddedBrokerError(
        f"No {count} free ports were found between {_RANGE.start} and {_RANGE.stop} on {LOOPBACK}."
    )


def is_taken(port: int) -> bool:
    """Say whether somebody listens on ``port`` of loopback, or of all addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections just closed
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False
