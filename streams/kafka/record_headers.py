"""Reading a record's headers so that no record can end the process, and looking for one of them."""

from __future__ import annotations

from collections.abc import Callable
from operator import methodcaller
from typing import Protocol

Headers = list[tuple[str, str | bytes | None]]


class WithHeaders(Protocol):
    """What a consumer gives: a message whose headers can be read, and replaced."""

    def set_headers(self, headers: Headers, /) -> object:
        """Put other headers in the place of the message's."""


_headers_checked: Callable[[WithHeaders], Headers | None] = methodcaller("headers")
"""Not ``message.headers()``: once that line is hot CPython (3.11) calls the C function without
looking whether it failed, so that no SystemError is raised."""


def headers_of(message: WithHeaders) -> Headers:
    """
    The record's own headers, as they can be written again.

    None where a header's name is not UTF-8: confluent-kafka (2.16) cannot read such headers. It
    leaves half-made tuples behind, which end the process when they are touched, and are therefore
    replaced.
    """
    try:
        headers = _headers_checked(message)
    except SystemError:
        headers = []
        message.set_headers(headers)
    return headers or []


def last_header(message: WithHeaders, name: str) -> bytes | None:
    """The last header of this name, as Kafka's own ``lastHeader``; None: there is none."""
    headers = headers_of(message)
    if not headers:
        return None
    for key, value in reversed(headers):
        if key == name and isinstance(value, bytes):
            return value
    return None
