"""
Which hosts a text leads to, and how a policy's register classes them.

A text leads to a host by a scheme (``https://...``, whatever the scheme) or by a bare domain that
telephones turn into a link (``t.cn/abc``). Looked through are: full-width and ideographic dots and
letters, invisible characters, a name before an ``@`` that is not the host, internationalised
domains in either spelling, percent signs and ``..`` in paths. Text is written around links without
a space in Chinese, Japanese and Korean, so that a host in Latin letters ends where those begin.

Time is linear in the text's length, on any text: what was read is never read again.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Final, NamedTuple
from unicodedata import normalize
from urllib.parse import unquote

from streams.policy.top_level_domains import TOP_LEVEL_DOMAINS

LONGEST_HOST: Final = 253
"""Of a domain name, RFC 1035."""


class LinkClass(IntEnum):
    """What the register says of a host; of several in one text the highest counts."""

    OWN = 1
    STORE = 2
    REGISTRATION = 3
    SHORT = 4
    FOREIGN = 5


class Place(NamedTuple):
    """Where a link leads: a host in lower case and Unicode, and the path that stands after it."""

    host: str
    path: str


_CJK: Final = r"\u0e00-\u0eff\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
"""Scripts that are written without spaces, and Hangul, whose particles follow a word at once."""

_INVISIBLE: Final = dict.fromkeys(
    map(ord, "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f")
)
_INVISIBLE.update(dict.fromkeys([*range(0x2060, 0x2065), 0xFEFF, *range(0xFE00, 0xFE10)]))
_PLAINLY: Final = _INVISIBLE | {ord(dot): "." for dot in "\u3002\uff61"}
_DETOURS: Final = ("%", "//", "/.")
"""What a path has that a server understands otherwise than it is written."""

# What a text must have to lead anywhere: a dot before what could begin a domain, or a scheme's
# end. An ideographic dot ends sentences: before an ideograph it counts only where a domain's end
# follows.
_IDEOGRAPHIC_ENDS: Final = "|".join(
    sorted(
        (end for end in TOP_LEVEL_DOMAINS if re.fullmatch(f"[{_CJK}]+", end)), key=len, reverse=True
    )
)
_HIDDEN: Final = "\u00ad\u200b-\u200f\u2060-\u2064\ufeff"
_MAY_LEAD: Final = re.compile(
    r"[.\uff0e\ufe52\u2024\u3002\uff61:\uff1a]"
    rf"(?:(?<=[.\uff0e\ufe52\u2024])(?:[^\W\d_]|\d{{1,3}}[.\uff0e]|[{_HIDDEN}])"
    r"|(?<=[:\uff1a])[/\\\uff0f]"
    rf"|(?<=[\u3002\uff61])(?:[A-Za-z\uff21-\uff5a{_HIDDEN}]|{_IDEOGRAPHIC_ENDS}))"
)
"""Begins with a set, by which the search runs three times as fast: 0.7 us for 100 characters."""

_LETTERS: Final = (
    r"\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u0377\u037a-\u037d\u0386-\u0dff"
    r"\u0f00-\u10ff\u1200-\u1fff\u2c00-\u2dff\ua640-\ua95f\uab00-\uabff"
)
"""Of the scripts that are written with spaces, beside ASCII's; a few signs too many do no harm."""

_IN_RUN: Final = rf"0-9a-z_\-@{_LETTERS}"
_RUN: Final = re.compile(
    rf"(?<![.{_IN_RUN}])(?:[{_IN_RUN}]*+\.[.{_IN_RUN}]*+|[{_IN_RUN}]++(?=:[/\\]))"
)
"""
A run of what hosts are made of that has a dot or a scheme's end.

It begins only where no other goes on, and gives nothing back: each is read twice at most. One set
each, since a choice between sets takes five times as long.
"""

_SCHEME: Final = re.compile(r":[/\\]+")
_AUTHORITY: Final = re.compile(r"[^\s/\\?#]*")
_PATH: Final = re.compile(r"(?::\d{1,5})?([/\\][!-~]*|[?#][!-~]*)?")
_LATIN_HOST: Final = re.compile(rf"[^{_CJK}]*")
_IDEOGRAPHIC_HOST: Final = re.compile(rf"\.(?:{_IDEOGRAPHIC_ENDS})(?![\w.-])")
_HOST_BEHIND: Final = re.compile(r"[\w.-]+\Z")
_FOUR_NUMBERS: Final = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}", re.ASCII)
_TRAILING: Final = ".,;:!?'\")]}>*_~-\u3001\u300b\u300d\u3011"


def places_in(body: str) -> Iterator[Place]:
    """Find every place that ``body`` leads to, in order; internationalised bare hosts come last."""
    return iter(()) if _MAY_LEAD.search(body) is None else _places(body)


def _places(body: str) -> Iterator[Place]:
    text = (
        body.lower() if body.isascii() else normalize("NFKC", body).casefold().translate(_PLAINLY)
    )
    passed = 0
    for run in _RUN.finditer(text):
        start, end = run.span()
        if start < passed:
            continue
        scheme = _SCHEME.match(text, end)
        if scheme is not None:
            authority = _AUTHORITY.match(text, scheme.end())
            host, end = _host_of(authority.group() if authority else "", scheme.end())
            path, passed = _path_at(text, end)
            yield Place(host, path)
            continue
        for bare in _bare_hosts(run.group()):
            path, passed = _path_at(text, end)
            yield Place(bare, path)
    if not text.isascii():
        for found in _IDEOGRAPHIC_HOST.finditer(text):
            begin = max(0, found.end() - LONGEST_HOST)
            behind = _HOST_BEHIND.search(text[begin : found.end()])
            if behind is not None and found.start() >= begin:
                yield Place(behind.group().lstrip("."), _path_at(text, found.end())[0])


def _host_of(authority: str, begin: int) -> tuple[str, int]:
    """Give the host in what stands after a scheme, and where in the text it ends."""
    latin = _LATIN_HOST.match(authority)
    if latin is not None and _ends_like_a_domain(latin.group().rpartition("@")[2].split(":")[0]):
        authority = latin.group()
    end = begin + len(authority)
    host = authority.rpartition("@")[2].partition(":")[0].rstrip(_TRAILING)
    return _in_unicode(host), end


def _bare_hosts(run: str) -> Iterator[str]:
    """Give what telephones would turn into a link in a run of letters, digits, dots and dashes."""
    if "." not in run or ("@" in run and run.index("@") > 0):
        return  # a mail address leads to nobody's page
    for piece in run.replace("@", "..").split(".."):
        host = piece.strip(_TRAILING)
        if _ends_like_a_domain(host) or _FOUR_NUMBERS.fullmatch(host):
            yield _in_unicode(host)


def _ends_like_a_domain(host: str) -> bool:
    before, dot, last = host.rstrip(_TRAILING).rpartition(".")
    return bool(dot and before) and _unicode_label(last) in TOP_LEVEL_DOMAINS


def _path_at(text: str, at: int) -> tuple[str, int]:
    """Read the path at ``at``, as a server would understand it, and where it ends."""
    found = _PATH.match(text, at)
    if found is None or found[1] is None:
        return "", at
    written = found[1].partition("?")[0].partition("#")[0].replace("\\", "/").rstrip(_TRAILING)
    if any(detour in written for detour in _DETOURS):
        written = "/" + posixpath.normpath(unquote(written)).lstrip("/")
    return written.rstrip("/") or written, found.end()


def _in_unicode(host: str) -> str:
    return ".".join(map(_unicode_label, host.split("."))) if "xn--" in host else host


def _unicode_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


class LinkRegister:
    """The places that a policy knows, each with its class; whatever is not in it is FOREIGN."""

    def __init__(self, known: Mapping[Place, LinkClass]) -> None:
        """Know these places, as :func:`registered_place` reads them."""
        self._by_host: dict[str, list[tuple[str, LinkClass]]] = {}
        for place, link_class in known.items():
            self._by_host.setdefault(place.host, []).append((place.path, link_class))
        for paths in self._by_host.values():
            paths.sort(key=lambda entry: len(entry[0]), reverse=True)

    def lists(self, link_class: LinkClass) -> bool:
        """Whether any place of this class is known."""
        return any(known is link_class for places in self._by_host.values() for _, known in places)

    def classes(self, body: str) -> frozenset[LinkClass]:
        """Give the classes of all places that ``body`` leads to; none for a text without a link."""
        if _MAY_LEAD.search(body) is None:
            return _NO_LINK
        return frozenset(map(self.class_of, _places(body)))

    def class_of(self, place: Place) -> LinkClass:
        """
        Class one place: by its host or the nearest domain above it that is registered.

        Of the entries of one host the longest whose path the place lies in counts.
        """
        host = place.host
        while host:
            for path, link_class in self._by_host.get(host, ()):
                if not path or place.path == path or place.path.startswith(f"{path}/"):
                    return link_class
            host = host.partition(".")[2]
        return LinkClass.FOREIGN


_NO_LINK: Final[frozenset[LinkClass]] = frozenset()


def registered_place(written: str) -> Place | None:
    """
    Read an entry of a register: a host, ``shop.example``, with a path or none, no scheme.

    Null where it is none.
    """
    host, slash, path = normalize("NFKC", written).casefold().partition("/")
    labels = host.split(".")
    if len(labels) < 2 or len(host) > LONGEST_HOST or not all(map(_LABEL.fullmatch, labels)):
        return None
    if slash and not re.fullmatch(r"[!-~]*", path):
        return None
    return Place(_in_unicode(host), posixpath.normpath(f"/{path}") if path else "")


_LABEL: Final = re.compile(r"\w(?:[\w-]{0,61}\w)?")


def worst(classes: Iterable[LinkClass]) -> LinkClass | None:
    """Give the worst of what a text leads to, registration aside; null where there is none."""
    return max((each for each in classes if each is not LinkClass.REGISTRATION), default=None)
