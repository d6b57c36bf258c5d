"""
Asking a reassigned-numbers service over HTTP whether a number changed its holder.

The interface, which an adapter to a company's own provider serves (the database of the United
States takes the same question and gives the same answers)::

    POST <lookup_url>
    Authorization: Bearer <lookup_token>          where one is set
    Content-Type: application/json
    {"number": "+12025550123", "consented_on": "2024-05-01"}

    200 {"reassigned": "yes"}        the number was given up on that day (UTC) or later
    200 {"reassigned": "no"}         it was not
    200 {"reassigned": "no_data"}    the service does not know

The question is in the body: addresses stand in the logs of servers and proxies. A 400, 404 or 422
says that this number cannot be asked for, and counts as ``no_data``. Everything else, silence too,
is no answer. No error here tells a number or what was answered (guarantee I7).
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from enum import Enum
from http.client import HTTPException, HTTPMessage
from typing import IO, Final
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from streams.errors import LookupUnavailable

ANSWER_MAX_BYTES: Final = 64 * 1024
_CANNOT_BE_ASKED: Final = frozenset({400, 404, 422})


class Reassigned(Enum):
    """What the service says."""

    YES = "yes"
    NO = "no"
    NO_DATA = "no_data"


class ReassignedNumbers:
    """One service. Not thread-safe; :meth:`ask` blocks."""

    def __init__(
        self, url: str, token: str | None, *, timeout_seconds: float, per_second: float
    ) -> None:
        """
        ``timeout_seconds`` bounds each wait for the network, ``per_second`` how often it is asked:
        providers charge by the question and cut off who asks too fast.
        """
        self._url = url
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._timeout_seconds = timeout_seconds
        self._apart_seconds = 1 / per_second
        self._next_at = 0.0
        self._opener = build_opener(_NoRedirects())

    def ask(self, number: str, consented_at: int) -> Reassigned:
        """
        Ask about one number (E.164) and the day of a consent, given in milliseconds.

        Waits for its turn first. Raises :class:`LookupUnavailable` where no answer came.
        """
        wait = self._next_at - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        self._next_at = time.monotonic() + self._apart_seconds
        day = datetime.fromtimestamp(consented_at / 1000, UTC).date().isoformat()
        body = json.dumps({"number": number, "consented_on": day}).encode()
        # http or https: the settings take no other.
        request = Request(self._url, body, self._headers, method="POST")  # noqa: S310
        problem = "it did not answer in time or broke the connection off"
        try:
            with self._opener.open(request, timeout=self._timeout_seconds) as response:
                return Reassigned(json.loads(response.read(ANSWER_MAX_BYTES))["reassigned"])
        except HTTPError as error:
            error.close()
            if error.code in _CANNOT_BE_ASKED:
                return Reassigned.NO_DATA
            problem = f"it answered with status {error.code}"
        except (ValueError, KeyError, TypeError):
            problem = "its answer is none of those it may give"
        except (OSError, HTTPException):
            pass
        # Raised out here: the errors above may quote what was sent or answered.
        raise LookupUnavailable(f"The reassigned-numbers service gave no answer: {problem}.")


class _NoRedirects(HTTPRedirectHandler):
    """A number goes to the address that was configured, and to no other."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None
