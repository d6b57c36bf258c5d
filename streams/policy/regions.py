"""
Where a recipient may be, and whose law that is: from the number, the records and the request.

Regions are ISO 3166-1 (``CN``) or 3166-2 (``US-TX``). A number's prefix is looked up once: parsing
a number takes 9 microseconds, a look into a dict 0.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    REGION_CODE_FOR_NON_GEO_ENTITY,
    SUPPORTED_REGIONS,
)
from phonenumbers.tzdata import TIMEZONE_DATA

from streams.policy.area_codes import AREA_CODES
from streams.policy.vocabulary import Jurisdiction

_EEA: Final = (
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"
)
EEA: Final = frozenset(_EEA.split())
"""Where GDPR and ePrivacy are law: the European Union, Iceland, Liechtenstein and Norway."""

_OF_COUNTRY: Final = {"CN": Jurisdiction.CN, "US": Jurisdiction.US, "CA": Jurisdiction.CA} | (
    dict.fromkeys(EEA, Jurisdiction.EU)
)
_UNITED_STATES_TOO: Final = dict.fromkeys(("PR", "VI", "GU", "AS", "MP"), Jurisdiction.US)
"""Territories with a country code of their own in ISO 3166-1; 47 U.S.C. 153(59) counts them in."""

COUNTRIES: Final[frozenset[str]] = frozenset(SUPPORTED_REGIONS)
"""Those of ISO 3166-1 that have telephone numbers, Ascension, Tristan da Cunha, Kosovo: 245."""

PARTS: Final[Mapping[str, frozenset[str]]] = {
    country: frozenset(
        region.partition("-")[2]
        for regions in AREA_CODES.values()
        for region in regions
        if region.startswith(f"{country}-")
    )
    for country in ("CA", "US")
}
"""States, the District of Columbia, provinces and territories: all have area codes."""

UNITED_STATES_ISLANDS: Final = frozenset(_UNITED_STATES_TOO)
"""Regions of their own here, though ISO 3166-2 also writes them as parts (``US-PR``)."""

_ANYWHERE_IN_NANP: Final = ("US", "CA")
_LONGEST_PREFIX: Final = 4
_ZONE_UNKNOWN: Final = "Etc/Unknown"
_NO_COUNTRY: Final = REGION_CODE_FOR_NON_GEO_ENTITY

Regions = tuple[str, ...]
Zones = tuple[str, ...]


def is_known(region: str) -> bool:
    """Whether this is a country that numbers are given out in, or a known part of one."""
    country, dash, part = region.partition("-")
    return region in COUNTRIES if not dash else part in PARTS.get(country, ())


def jurisdiction_of(region: str) -> Jurisdiction:
    """Say whose law a region is under."""
    country = region.partition("-")[0]
    found = _OF_COUNTRY.get(country) or _UNITED_STATES_TOO.get(country)
    return found if found is not None else Jurisdiction.OTHER


def regions_of_number(number: str) -> Regions:
    """
    Give where an E.164 number was given out: most often one region, none where unknown.

    Numbers of no country (satellites +881, relief of disasters +888) say nothing of a place.
    """
    return _regions_of_prefix(number[1 : 1 + _LONGEST_PREFIX])


@lru_cache(maxsize=20_000)
def _regions_of_prefix(digits: str) -> Regions:
    if digits.startswith("1"):
        return AREA_CODES.get(digits[1:4], _ANYWHERE_IN_NANP)
    if digits.startswith(("76", "77")):
        return ("KZ",)
    for length in (3, 2):
        countries = COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:length] or 0))
        if countries is not None:
            return () if countries[0] == _NO_COUNTRY else countries[:1]
    countries = COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:1] or 0))
    return countries[:1] if countries is not None else ()


def strictest(regions: Regions) -> Jurisdiction:
    """
    Give the law of these regions; of several, one that lets nothing pass that theirs would not.

    China's, where it is among them, else that of countries without a pack: both know no basis for
    advertising but express consent, and hours to keep. None of the others is the strictest: that
    of Europe allows a soft opt-in, that of Canada implied consent, both at any hour, that of the
    United States a user's invitations without consent. Of no region: as without a pack.
    """
    laws = {jurisdiction_of(region) for region in regions}
    if len(laws) == 1:
        return laws.pop()
    return Jurisdiction.CN if Jurisdiction.CN in laws else Jurisdiction.OTHER


def regions_of(number: str, of_record: str | None, of_request: str | None) -> Regions:
    """Put together where an E.164 number's holder may be, each place once; the record's first."""
    return _regions_together(number[1 : 1 + _LONGEST_PREFIX], of_record, of_request)


@lru_cache(maxsize=20_000)
def _regions_together(digits: str, of_record: str | None, of_request: str | None) -> Regions:
    said = [region for region in (of_record, *_regions_of_prefix(digits), of_request) if region]
    return tuple(dict.fromkeys(said))


def law_of(number: str, of_record: str | None, of_request: str | None) -> Jurisdiction:
    """Give the strictest law of all that is said of where an E.164 number's holder is."""
    return _law_of_prefix(number[1 : 1 + _LONGEST_PREFIX], of_record, of_request)


@lru_cache(maxsize=20_000)
def _law_of_prefix(digits: str, of_record: str | None, of_request: str | None) -> Jurisdiction:
    return strictest(_regions_together(digits, of_record, of_request))


@lru_cache(maxsize=20_000)
def zones_of_number(digits: str) -> Zones:
    """
    Give every time zone that a number may be in; none if unknown.

    ``digits`` are the number's first nine or more, without the plus sign. Elsewhere the longest
    known prefix counts. In +1 all zones of the states count that the area code lies in: which
    exchange a mobile number began in says little, and of some states the data know one zone only.
    """
    if digits.startswith("1") and digits[1:4] in AREA_CODES:
        return _united(map(zones_of_region, _regions_of_prefix(digits[:_LONGEST_PREFIX])))
    for length in range(min(9, len(digits)), 0, -1):
        zones = TIMEZONE_DATA.get(digits[:length])
        if zones is not None:
            return tuple(zone for zone in zones if zone != _ZONE_UNKNOWN)
    return ()


@lru_cache(maxsize=20_000)
def zones_of_message(digits: str, of_record: str | None, of_request: str | None) -> Zones:
    """
    Give every time zone in which somebody may be of whom no zone is recorded.

    All of the number's, and all of a region that is said and that the number does not lie in.
    """
    there = _regions_of_prefix(digits[:_LONGEST_PREFIX])
    others = [
        zones_of_region(region)
        for region in (of_record, of_request)
        if region and not any(region in (each, each.partition("-")[0]) for each in there)
    ]
    return _united([zones_of_number(digits), *others])


@lru_cache(maxsize=4_000)
def zones_of_region(region: str) -> Zones:
    """Give every time zone of a country, state or province, by the numbers given out there."""
    country = region.partition("-")[0]
    found = [
        _ZONES_OF_AREA_CODE.get(code, ())
        for code, regions in AREA_CODES.items()
        if any(region in (each, each.partition("-")[0]) for each in regions)
    ]
    found += [
        zones_of_number(str(code))
        for code, countries in COUNTRY_CODE_TO_REGION_CODE.items()
        if code != 1 and country in countries
    ]
    return _united([*found, _ZONES_MISSING.get(region, ())])


def _united(many: Iterable[Zones]) -> Zones:
    return tuple(sorted({zone for zones in many for zone in zones}))


def _zones_of_area_codes() -> dict[str, Zones]:
    found: dict[str, set[str]] = {}
    for digits, zones in TIMEZONE_DATA.items():
        if digits.startswith("1") and len(digits) >= _LONGEST_PREFIX:
            found.setdefault(digits[1:4], set()).update(zones)
    return {code: tuple(sorted(zones)) for code, zones in found.items()}


_ZONES_OF_AREA_CODE: Final = _zones_of_area_codes()
_ZONES_MISSING: Final[dict[str, Zones]] = {
    "US-AK": ("America/Adak",),
    "US-FL": ("America/Chicago",),
    "US-ID": ("America/Los_Angeles", "America/Boise"),
    "US-IN": ("America/Chicago",),
    "US-KS": ("America/Denver",),
    "US-KY": ("America/Chicago", "America/New_York"),
    "US-MI": ("America/Chicago",),
    "US-ND": ("America/Denver",),
    "US-NE": ("America/Denver",),
    "US-NV": ("America/Denver",),
    "US-OR": ("America/Boise",),
    "US-SD": ("America/Denver",),
    "US-TN": ("America/Chicago", "America/New_York"),
    "US-TX": ("America/Denver",),
}
"""States that lie in two zones (49 CFR 71), whatever the data say: 850 is Eastern to them."""
