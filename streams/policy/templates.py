"""
Whether a body is what its template and parameters make.

A template's parameters are put into its text, and the outcome is the body or it is not: nothing is
searched for, so that no body and no parameter takes more time than its length. What is put in must
be of its variable's type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from streams.policy.links import places_in
from streams.policy.vocabulary import Jurisdiction, TemplateMatch
from streams.records.requests import SmsRequested
from streams.records.templates import Template, VariableType

LONGEST_NAME: Final = 80
LONGEST_VALUE: Final = 40
LONGEST_LINK: Final = 500
"""Characters of what is put in. A user's own words are bounded by the request alone."""

_PLACE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NUMBER: Final = re.compile(r"[\d.,:/ '%$\u00a3\u00a5\u20ac\u5143+-]+")
_CODE: Final = re.compile(r"[0-9A-Za-z-]+")
_NO_NAME: Final = re.compile(r"[\d:/@\n]")


class TemplateUse(NamedTuple):
    """What a request says of its template, its parameters apart; names and kinds as compared."""

    template_id: str
    purpose: str
    persons: frozenset[str]
    claims: frozenset[str]


class CompiledTemplate(NamedTuple):
    """One approved version, taken apart: ``texts`` stand around the ``variables``, in order."""

    purpose: str
    jurisdiction: str | None
    texts: tuple[str, ...]
    variables: tuple[tuple[str, VariableType], ...]
    names: frozenset[str]
    claims: frozenset[str]
    approved_at: int


class Templates(Protocol):
    """The broadcast table ``templates``."""

    def versions(self, template_id: str) -> Sequence[CompiledTemplate]:
        """Every version of the template that can be used, whenever it was approved."""
        ...


class NoTemplates:
    """A table without templates."""

    def versions(self, template_id: str) -> Sequence[CompiledTemplate]:
        """None."""
        return ()


NO_TEMPLATES: Final = NoTemplates()


def compile_template(template: Template) -> CompiledTemplate | None:
    """
    Take a template apart; null for one that is not approved or contradicts itself.

    That is one whose text has a variable that is not declared or lacks one that is, or lacks its
    own opt-out text; or whose jurisdiction does not exist.
    """
    pieces = _PLACE.split(template.text)
    types = {variable.name: variable.type for variable in template.variables}
    placed = pieces[1::2]
    if (
        template.approved_at is None
        or len(types) != len(template.variables)
        or {*placed} != types.keys()
        or (template.opt_out_text is not None and template.opt_out_text not in template.text)
        or (
            template.jurisdiction is not None
            and template.jurisdiction not in Jurisdiction.__members__
        )
    ):
        return None
    return CompiledTemplate(
        template.purpose,
        template.jurisdiction,
        tuple(pieces[0::2]),
        tuple((name, types[name]) for name in placed),
        frozenset(placed),
        frozenset(template.claims),
        template.approved_at,
    )


def template_use(request: SmsRequested) -> TemplateUse | None:
    """Read what a request says of its template; null where it names none."""
    if request.template_id is None:
        return None
    return TemplateUse(
        request.template_id,
        request.purpose,
        frozenset(_folded(person.name) for person in request.named_persons),
        frozenset(claim.kind for claim in request.claims),
    )


def template_match(
    use: TemplateUse,
    parameters: Mapping[str, str],
    body: str,
    law: Jurisdiction,
    templates: Templates,
    now_ms: int,
) -> TemplateMatch:
    """
    MATCH if an approved version of the template, with these parameters, makes this body.

    consent-gate's own rule: a body must be what its template and parameters make, and names put in
    are named persons. Carriers in China send what they reviewed and nothing else
    (https://cloud.tencent.com/document/product/382/13301).
    """
    approved = [
        version for version in templates.versions(use.template_id) if version.approved_at <= now_ms
    ]
    if not approved:
        return TemplateMatch.UNKNOWN
    for version in approved:
        if _makes(version, use, parameters, body, law):
            return _MATCH
    return TemplateMatch.MISMATCH


def _makes(
    version: CompiledTemplate,
    use: TemplateUse,
    parameters: Mapping[str, str],
    body: str,
    law: Jurisdiction,
) -> bool:
    if (
        version.purpose != use.purpose
        or version.jurisdiction not in (None, law.name)
        or parameters.keys() != version.names
        or not version.claims <= use.claims
    ):
        return False
    at = 0
    for text, (name, kind) in zip(version.texts, version.variables, strict=False):
        value = parameters[name]
        if not body.startswith(text, at) or not body.startswith(value, at + len(text)):
            return False
        at += len(text) + len(value)
        if not _fits(kind, value, use.persons):
            return False
    last = version.texts[-1]
    return len(body) == at + len(last) and body.startswith(last, at)


def _fits(kind: VariableType, value: str, persons: frozenset[str]) -> bool:
    """Whether ``value`` may be put into a variable of this type."""
    match kind:
        case VariableType.PERSON_NAME:
            return (
                len(value) <= LONGEST_NAME
                and _NO_NAME.search(value) is None
                and _folded(value) in persons
            )
        case VariableType.NUMBER:
            return (
                len(value) <= LONGEST_VALUE
                and _NUMBER.fullmatch(value) is not None
                and any(map(str.isdecimal, value))
            )
        case VariableType.CODE:
            return len(value) <= LONGEST_VALUE and _CODE.fullmatch(value) is not None
        case VariableType.LINK:
            return (
                len(value) <= LONGEST_LINK
                and not any(map(str.isspace, value))
                and sum(1 for _ in places_in(value)) == 1
            )
        case VariableType.FREE_WORDS:
            return True


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


_MATCH: Final = TemplateMatch.MATCH
