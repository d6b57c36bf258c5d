"""Over 200 mistakes in every file of a policy: each is said with its file, line and remedy."""

from __future__ import annotations

import pytest

from streams.errors import PolicyInvalid
from streams.policy.cases.cases import read_cases
from streams.policy.policy import load_policy_files
from tests.policy import mistakes_table as table
from tests.policy.mistakes_table import SIGN, Row

# What a row is not about is short: reading YAML is most of what these tests do.
POLICY = {
    "policy.yaml": table.POLICY,
    "rules.yaml": table.PACK_RULES,
    "registers.yaml": table.FEW_REGISTERS,
}
RULES = {"policy.yaml": table.BARE, "rules.yaml": table.RULES}
REGISTERS = {
    "policy.yaml": table.LISTING,
    "rules.yaml": table.PACK_RULES,
    "registers.yaml": table.REGISTERS,
}
COMPOSED = {
    "policy.yaml": table.WHOLE,
    "../own/policy.yaml": table.PACK,
    "../own/rules.yaml": table.PACK_RULES,
}
TESTS = {"tests.yaml": table.TESTS}
SECTIONS: list[tuple[str, dict[str, str], str, list[Row]]] = [
    ("policy", POLICY, "policy.yaml", table.IN_POLICY),
    ("caps", POLICY, "policy.yaml", table.IN_CAPS),
    ("lapse", POLICY, "policy.yaml", table.IN_LAPSE),
    ("confirm", POLICY, "policy.yaml", table.IN_CONFIRM),
    ("rules", RULES, "rules.yaml", table.IN_RULES),
    ("registers", REGISTERS, "registers.yaml", table.IN_REGISTERS),
    ("hours", REGISTERS, "registers.yaml", table.IN_HOURS),
    ("packs", COMPOSED, "policy.yaml", table.IN_WHOLE),
    ("a pack", COMPOSED, "../own/policy.yaml", table.IN_PACK),
    ("a pack's rules", COMPOSED, "../own/rules.yaml", table.IN_PACK_RULES),
    ("tests", TESTS, "tests.yaml", table.IN_TESTS),
]
EACH = [
    pytest.param(files, file, row, id=f"{section} {number}")
    for section, files, file, rows in SECTIONS
    for number, row in enumerate(rows)
]


def mistakes_of(files: dict[str, str]) -> list[str]:
    try:
        if "tests.yaml" in files:
            read_cases("tests.yaml", files["tests.yaml"], "pack")
        else:
            load_policy_files(files, "pack")
    except PolicyInvalid as invalid:
        return str(invalid).splitlines()
    return []


@pytest.mark.parametrize("files", [POLICY, RULES, REGISTERS, COMPOSED, TESTS])
def test_what_the_mistakes_are_made_in_is_sound(files: dict[str, str]) -> None:
    assert mistakes_of(files) == []


def test_there_are_two_hundred_and_no_two_are_the_same() -> None:
    made = [
        (file, files[file].replace(row.old, row.new, 1))
        for _, files, file, rows in SECTIONS
        for row in rows
    ]
    assert len(set(made)) == len(made)
    assert len(made) >= 200


@pytest.mark.parametrize(("files", "file", "row"), EACH)
def test_a_mistake_is_named_with_its_place_and_remedy(
    files: dict[str, str], file: str, row: Row
) -> None:
    source = files[file]
    assert row.old in source
    marked = source.replace(row.old, row.new, 1)
    before, sign, after = marked.partition(SIGN)
    found = mistakes_of({**files, file: before + after})
    place = ""
    if sign:
        line = before.count("\n") + 1
        place = f"{line}:{len(before) - (before.rfind(chr(10)) + 1) + 1}: "
    fitting = [
        (what, remedy)
        for each in found
        if each.startswith(f"pack/{file}:{place}")
        for what, _, remedy in [each.rpartition("; ")]
        if row.remedy in remedy
    ]
    assert fitting, found
