"""
What may be told: the last line of defence of guarantee I7.

No code here logs a number, a name or a body. Should one slip into a line all the same, through a
library's message for example, what looks like a phone number is taken out; and the text of an error
that is not ours is never told, as it may quote the data it failed on.
"""

from __future__ import annotations

import re
from types import TracebackType

from streams.errors import ConsentGateError

REDACTED = "[number]"

# An E.164 number of 6 digits or more (the shortest in use have 7), also as it stands in a URL or
# with a full-width plus, and with separators between its digits. What has no plus is not taken for
# a number: offsets and timestamps have as many digits.
_NUMBER = re.compile(r"(?:\+|%2[Bb]|\uff0b)[ (]{0,2}[1-9](?:[ ().-]{0,2}\d){5,}")


def redact(text: str) -> str:
    """Return ``text`` with everything in it that looks like an E.164 number taken out."""
    return _NUMBER.sub(REDACTED, text)


def described(error: BaseException) -> dict[str, object]:
    """
    Return what a log line may tell of an error.

    ``error`` is its class, ``place`` the module, line and function of ours that it came through
    last (or of whoever raised it), ``text`` its text if it is one of ours, ``causes`` the classes
    it was raised from.
    """
    told: dict[str, object] = {"error": _class_name(error)}
    if isinstance(error, ConsentGateError):
        told["text"] = str(error)
    place = _place(error.__traceback__)
    if place is not None:
        told["place"] = place
    causes = _causes(error)
    if causes:
        told["causes"] = causes
    return told


def _class_name(error: BaseException) -> str:
    kind = type(error)
    if isinstance(error, ConsentGateError) or kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def _place(traceback: TracebackType | None) -> str | None:
    place = None
    ours = None
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "?")
        place = f"{module}:{traceback.tb_lineno} in {traceback.tb_frame.f_code.co_name}"
        if module.partition(".")[0] == "streams":
            ours = place
        traceback = traceback.tb_next
    return ours or place


def _causes(error: BaseException) -> list[str]:
    causes: list[str] = []
    seen = {id(error)}
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        causes.append(_class_name(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return causes
