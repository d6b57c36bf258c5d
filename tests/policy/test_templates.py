"""A body is what an approved template and its parameters make, or it is not."""

from __future__ import annotations

from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.policy.facts import assess
from streams.policy.templates import compile_template
from streams.policy.vocabulary import TemplateMatch
from streams.records.requests import Claim, NamedPerson
from streams.records.templates import Template, TemplateVariable, VariableType
from streams.state.broadcast import TemplateTable
from streams.testing.records import NOON, a_template
from tests.policy.messages import CampaignTable, NameTable, request


def table(*templates: Template) -> TemplateTable:
    made = TemplateTable()
    for template in templates:
        made.apply(f"{template.template_id}#{template.version}", template)
    return made


def of(kind: VariableType, text: str = "Shop: {it}!", **changes: object) -> Template:
    return a_template(text=text, variables=(TemplateVariable("it", kind),), **changes)


def matched(template: Template | None, now_ms: int = NOON, **changes: object) -> TemplateMatch:
    wanted: dict[str, object] = {"template_id": "password", "purpose": "otp", **changes}
    known = table() if template is None else table(template)
    assessed = assess(
        request(**wanted), None, NameTable(), CampaignTable(), now_ms, templates=known
    )
    return assessed.facts.template


CODE = {"code": "1234"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"template_params": CODE, "body": "Shop: your code is 1234"}, "MATCH"),
        ({"template_params": CODE, "body": "Shop: your code is 1235"}, "MISMATCH"),
        ({"template_params": CODE, "body": "Shop: your code is 1234 "}, "MISMATCH"),
        ({"template_params": CODE, "body": "Shop: your code is "}, "MISMATCH"),
        ({"template_params": CODE, "body": ""}, "MISMATCH"),
        ({"template_params": {}, "body": "Shop: your code is {code}"}, "MISMATCH"),
        ({"template_params": {**CODE, "more": "x"}, "body": "Shop: your code is 1234"}, "MISMATCH"),
        ({"template_params": {"code": "{code}"}, "body": "Shop: your code is {code}"}, "MISMATCH"),
        (
            {"template_params": CODE, "body": "Shop: your code is 1234", "purpose": "marketing"},
            "MISMATCH",
        ),
        (
            {"template_params": CODE, "body": "Shop: your code is 1234", "template_id": "other"},
            "UNKNOWN",
        ),
        ({"template_params": CODE, "body": "Shop: your code is 1234", "template_id": None}, "NONE"),
    ],
)
def test_the_body_is_what_template_and_parameters_make(
    changes: dict[str, object], expected: str
) -> None:
    assert matched(a_template(), **changes) is TemplateMatch[expected]


@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [
        (VariableType.NUMBER, "1,234.50", True),
        (VariableType.NUMBER, "24.12.2026", True),
        (VariableType.NUMBER, "¥12", True),
        (VariableType.NUMBER, "...", False),
        (VariableType.NUMBER, "12 friends", False),
        (VariableType.NUMBER, "1" * 41, False),
        (VariableType.CODE, "A-12z", True),
        (VariableType.CODE, "come and see", False),
        (VariableType.CODE, "", False),
        (VariableType.LINK, "https://shop.example/x", True),
        (VariableType.LINK, "shop.example", True),
        (VariableType.LINK, "shop.example evil.example", False),
        (VariableType.LINK, "nowhere", False),
        (VariableType.PERSON_NAME, "Jo Doe", True),
        (VariableType.PERSON_NAME, "JO  DOE", True),
        (VariableType.PERSON_NAME, "Jo", False),
        (VariableType.PERSON_NAME, "https://shop.example", False),
        (VariableType.FREE_WORDS, "anything at all", True),
        (VariableType.FREE_WORDS, "", True),
    ],
)
def test_what_is_put_in_is_of_its_variables_type(
    kind: VariableType, value: str, fits: bool
) -> None:
    expected = TemplateMatch.MATCH if fits else TemplateMatch.MISMATCH
    assert (
        matched(
            of(kind),
            template_params={"it": value},
            body=f"Shop: {value}!",
            named_persons=(NamedPerson("Jo Doe"),),
        )
        is expected
    )


def test_a_name_that_is_put_in_without_being_a_named_person_is_none() -> None:
    changes = {"template_params": {"it": "Jo"}, "body": "Shop: Jo!"}
    assert matched(of(VariableType.PERSON_NAME), **changes) is TemplateMatch.MISMATCH


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"approved_at": None}, "UNKNOWN"),
        ({"approved_at": NOON + 1}, "UNKNOWN"),
        ({"approved_at": NOON}, "MATCH"),
        ({"jurisdiction": "CN"}, "MATCH"),
        ({"jurisdiction": "US"}, "MISMATCH"),
        ({"jurisdiction": "XX"}, "UNKNOWN"),
        ({"claims": ("colleague",)}, "MISMATCH"),
        ({"opt_out_text": "your code"}, "MATCH"),
        ({"opt_out_text": "reply STOP"}, "UNKNOWN"),
        ({"text": "Shop: your code is {kode}"}, "UNKNOWN"),
        ({"variables": ()}, "UNKNOWN"),
    ],
)
def test_a_template_counts_once_it_is_approved_and_agrees_with_itself(
    changes: dict[str, object], expected: str
) -> None:
    said = {"template_params": CODE, "body": "Shop: your code is 1234"}
    assert matched(a_template(**changes), **said) is TemplateMatch[expected]


def test_a_declared_claim_must_be_stated() -> None:
    said = {
        "template_params": CODE,
        "body": "Shop: your code is 1234",
        "claims": (Claim("colleague"),),
    }
    assert matched(a_template(claims=("colleague",)), **said) is TemplateMatch.MATCH


def test_a_version_counts_beside_the_others_until_its_tombstone() -> None:
    made = table(a_template(), a_template(version=2, text="Code {code}"))
    assert len(made.versions("password")) == 2
    made.apply("password#1", None)
    assert [version.texts[0] for version in made.versions("password")] == ["Code "]
    made.apply("password#2", a_template(version=3))
    assert not made.versions("password")


def test_an_id_may_hold_the_keys_own_sign() -> None:
    made = table(a_template(template_id="a#b"))
    assert len(made.versions("a#b")) == 1


@given(
    st.text(alphabet="ab{}", max_size=12),
    st.text(alphabet="ab{}", max_size=12),
    st.text(alphabet="ab", max_size=4),
)
def test_only_the_text_around_what_is_put_in_and_itself_make_a_match(
    before: str, behind: str, value: str
) -> None:
    template = of(VariableType.FREE_WORDS, text=f"{before}{{it}}{behind}")
    if compile_template(template) is None:
        return
    made = template.text.replace("{it}", value)
    said = {"template_params": {"it": value}}
    assert matched(template, body=made, **said) is TemplateMatch.MATCH
    assert matched(template, body=made + "a", **said) is TemplateMatch.MISMATCH


@pytest.mark.parametrize("unit", ["a", "1", "1.", "a.b ", "{it}", "中", "http://a"])
@pytest.mark.parametrize("kind", list(VariableType))
def test_the_time_grows_as_the_text_does(kind: VariableType, unit: str) -> None:
    template = a_template(
        text="{it}" * 8 + "!", variables=(TemplateVariable("it", kind),), approved_at=0
    )

    def cost(characters: int) -> float:
        value = unit * (characters // len(unit))
        took = []
        for _ in range(3):
            began = thread_time()
            matched(template, template_params={"it": value}, body=value * 8 + "?")
            took.append(thread_time() - began)
        return min(took)

    assert cost(16_000) < 16 * cost(2_000) + 0.005, "eight times as much text"
