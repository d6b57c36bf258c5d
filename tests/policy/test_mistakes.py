# ruff: noqa: E501 - a row of these tables is a line
"""Every mistake in a policy is found at load, with its file, line, column and remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.errors import PolicyInvalid
from streams.policy.policy import load_policy, load_policy_files

MANIFEST = """\
name: small
edition: "1"
purposes:
  marketing: Advertising.
  otp: Passwords.
rules:
  - rules.yaml
"""

OBJECTION = """\
  - id: no-consent
    text: Never agreed.
    when: purpose == Purpose.MARKETING && consent == Consent.NONE
    then: drop
    reason: NO_CONSENT
    cites: Case
"""


def mistakes_of(rules: str, manifest: str = MANIFEST, **others: str) -> list[str]:
    """Load a policy of these texts, which must fail, and give its mistakes."""
    files = {"policy.yaml": manifest, "rules.yaml": rules} | {
        name.replace("_", "."): text for name, text in others.items()
    }
    with pytest.raises(PolicyInvalid) as invalid:
        load_policy_files(files, "pack/")
    return str(invalid.value).splitlines()


def rule(**changes: str | None) -> str:
    """One rule file whose only rule is fine but for the changes; line 3 is `text`, and so on."""
    fields: dict[str, str | None] = {
        "id": "stop",
        "text": "Stopped.",
        "when": "suppression == Suppression.ALL",
        "then": "drop",
        "reason": "SUPPRESSED",
        "cites": "Case",
    }
    fields |= {key.rstrip("_"): value for key, value in changes.items()}
    lines = [f"{key}: {value}" for key, value in fields.items() if value is not None]
    return "rules:\n  - " + "\n    ".join(lines) + "\n"


def test_the_rule_these_tests_change_is_fine() -> None:
    loaded = load_policy_files({"policy.yaml": MANIFEST, "rules.yaml": rule()}, "pack")
    assert [one.id for one in loaded.rules] == ["stop"]


# Each: the rule file, where the mistake is, and words of what and remedy.
RULE_MISTAKES: list[tuple[str, str, str, str]] = [
    # Names in conditions.
    (rule(when="suppression == Suppression.AL"), "4:26", "there is no Suppression.AL", "Suppression.ALL?"),
    (rule(when="supression == Suppression.ALL"), "4:11", "there is no supression", "suppression?"),
    (rule(when="suppression == Supression.ALL"), "4:26", "there is no Supression.ALL", "Suppression.ALL?"),
    (rule(when="suppression == suppression.all"), "4:26", "suppression.all", "Suppression.ALL?"),
    (rule(when="consent == Consent"), "4:22", "Consent is not a value", "Consent.GRANTED"),
    (rule(when="purpose == Purpose.INVITE"), "4:22", "there is no Purpose.INVITE", "Purpose.MARKETING"),
    (rule(when="size(purpose) == purpose"), "4:11", "there is no size", "use one of: answer"),
    (rule(when="purpose == Purpose.OTP and consent == Consent.NONE"), "4:34", "`and`", "write &&"),
    # What CEL says, at its place in the file.
    (rule(when="consent == Purpose.OTP"), "4:19", "`==` cannot take Consent and Purpose", "own type"),
    (rule(when="consent in [Consent.NONE, Purpose.OTP]"), "4:37", "Purpose.OTP stands in a list of Consent", "one fact"),
    (rule(when="consent in Consent.NONE"), "4:19", "`in` cannot take", "own type"),
    (rule(when="consent in []"), "4:23", "the list is empty", "name the values"),
    (rule(when="consent && taint == Taint.NONE"), "4:19", "`&&` cannot take Consent and bool", "join"),
    (rule(when="consent"), "4:11", "the condition is a Consent", "compare it"),
    (rule(when="(consent == Consent.NONE"), "4:35", "missing ')'", "bracket"),
    (rule(when="consent == Consent.NONE ||"), "4:37", "not a condition", "sign or bracket"),
    (rule(when="consent = Consent.NONE"), "4:19", "`=` is not part", "write =="),
    (rule(when="consent < Consent.NONE"), "4:19", "`<` is not part", "no order"),
    (rule(when="consent == 'NONE'"), "4:22", "strings and numbers", "Consent.GRANTED"),
    (rule(when="consent == 1"), "4:22", "strings and numbers", "declared value"),
    (rule(when="'true'"), "4:12", "looks at no fact", "compare a fact"),
    (rule(when="true"), "4:11", "when is `true`", "text"),
    (rule(when="|\n      consent == Consent.NONE\n      && taint == Taint.NON"), "6:19", "Taint.NON", "Taint.NONE?"),
    (rule(when=">-\n      consent ==\n      Consent.NONE\n      && taint == Tant.NONE"), "7:19", "Tant.NONE", "Taint.NONE?"),
    (rule(when="|  # taint == Taint\n      taint == Tant.NONE"), "5:16", "Tant.NONE", "Taint.NONE?"),
    (rule(when='"consent == Consent.NONE\n      && taint == Tant.NONE"'), "5:19", "Tant.NONE", "Taint.NONE?"),
    (rule(when="consent == Consent.NONE " + "&& consent == Consent.NONE " * 80), "4:11", "over 2000", "split"),
    # What follows from a rule.
    (rule(then="dorp"), "5:11", "then cannot be 'dorp'", "did you mean drop?"),
    (rule(reason="NO_CONCENT"), "6:13", "there is no reason NO_CONCENT", "NO_CONSENT?"),
    (rule(reason="POLICY_ERROR"), "6:13", "given by the gate itself", "take the rule out"),
    (rule(reason="PURPOSE_UNKNOWN"), "6:13", "given by the gate itself", "take the rule out"),
    (rule(then="quarantine"), "6:13", "milder than the catalogue", "`then: drop`"),
    (rule(reason=None), "2:5", "lacks reason", "name one of the catalogue"),
    (rule(basis="consent"), "8:12", "has no basis", "take it out"),
    (rule(then="allow"), "6:13", "an allowing rule has no reason", "give a basis"),
    (rule(then="allow", reason=None), "2:5", "lacks basis", "what the yes rests on"),
    (rule(then="allow", reason=None, basis="b-1"), "4:11", "does not look at the purpose", "Purpose.MARKETING"),
    (rule(then="allow", reason=None, basis="by consent", when="purpose == Purpose.OTP"), "7:12", "'by consent' cannot be basis", "hyphens"),
    (rule(then="allow", reason=None, basis="all", when="purpose == Purpose.OTP"), "2:1", "allows otp to somebody of whom nothing is known", "require"),
    # The shape of a rule.
    (rule(id="Stop it"), "2:9", "'Stop it' cannot be id", "hyphens"),
    (rule(id="12"), "2:9", "id is `12`", "in quotes"),
    (rule(id=None), "2:5", "a rule lacks id", "`id: ...`"),
    (rule(text=None), "2:5", "a rule lacks text", "`text: ...`"),
    (rule(text="''"), "3:11", "text is blank", "write it out"),
    (rule(cites=None), "2:5", "a rule lacks cites", "`cites: ...`"),
    (rule(cites="[]"), "7:12", "cites is empty", "add an entry"),
    (rule(cites="[Case, {a: b}]"), "7:19", "cites is a mapping", "write text"),
    (rule(untill="x"), "8:5", "a rule has no untill", "did you mean until?"),
    (rule(from_="soon"), "8:11", "from is no calendar day", "2027-01-31"),
    (rule(until="2027-02-30"), "8:12", "until is no calendar day", "2027-01-31"),
    (rule(from_="2027-02-01", until="2027-02-01"), "9:12", "never in force", "after from"),
    ("rules:\n" + OBJECTION + OBJECTION, "8:9", "the id no-consent is taken by rules.yaml:2", "another"),
    # YAML.
    ("rules:\n" + OBJECTION + "    reason: ERASED\n", "8:5", "reason stands twice", "keep one"),
    ("rules:\n  - &a\n    id: x\n", "2:5", "&a is refused", "in full"),
    ("a: &x [1]\nrules: [*x, *x]\n", "2:9", "*x is refused", "in full"),
    ("rules: !!python/object:os.system\n", "1:8", "the tag", "take it out"),
    ("rules: []\n---\nrules: []\n", "2:1", "a second document", "---"),
    ("rules: " + "[" * 20 + "]" * 20, "1:15", "nested too deeply", "flatter"),
    ("rules:\n  - id: [\n", "3:1", "this is not YAML", "mend"),
    ("rules:\n\t- id: a\n", "2:1", "this is not YAML", "mend"),
    ("rules:\n  - id: a\x07\n", "2:1", "control character", "take it out"),
    ("", "1:1", "the file is empty", "fill it"),
    ("rules: []\n", "1:8", "rules is empty", "add an entry"),
    ("rules: all\n", "1:8", "rules is text", "list"),
    ("- id: x\n", "1:1", "a rule file is a list", "key: value"),
    ("rulez: []\n", "1:1", "a rule file has no rulez", "did you mean rules?"),
    ("# " + "x" * 300_000, "1:1", "too large", "keep it under"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "place", "what", "remedy"),
    RULE_MISTAKES,
    ids=[f"{number} {what}"[:40] for number, (_, _, what, _) in enumerate(RULE_MISTAKES)],
)
def test_a_mistake_in_a_rule_file_is_named_with_its_place_and_remedy(
    rules: str, place: str, what: str, remedy: str
) -> None:
    found = mistakes_of(rules)
    shape = re.compile(rf"pack/rules\.yaml:{place}: (?P<what>[^;]*(?:;[^;]*)*); (?P<remedy>.+)")
    fitting = [match for line in found if (match := shape.fullmatch(line)) and what in line]
    assert fitting, found
    assert remedy in fitting[0]["remedy"]


MANIFEST_MISTAKES = [
    (MANIFEST.replace("name: small\n", ""), "1:1", "policy.yaml lacks name", "name: ..."),
    (MANIFEST + "colour: red\n", "8:1", "policy.yaml has no colour", "use one of"),
    (MANIFEST.replace('"1"', "1"), "2:10", "edition is `1`", "quotes"),
    (MANIFEST.replace("  otp: Passwords.\n", "  OTP: Passwords.\n"), "5:8", "'OTP' cannot be a purpose", "lower-case"),
    (MANIFEST.replace("Passwords.", ""), "5:7", "the purpose otp is left empty", "write text"),
    (MANIFEST.replace("\n  marketing: Advertising.\n  otp: Passwords.", " {}"), "3:11", "no purpose is declared", "add"),
    (MANIFEST + "  - more.yaml\n", "8:5", "there is no file more.yaml", "rules.yaml"),
    (MANIFEST + "  - ../rules.yaml\n", "8:5", "cannot be a rule file", "of this folder"),
    (MANIFEST + "  - policy.yaml\n", "8:5", "cannot be a rule file", "of this folder"),
    (MANIFEST + "  - rules.yaml\n", "8:5", "listed twice", "keep one"),
]  # fmt: skip


@pytest.mark.parametrize(("manifest", "place", "what", "remedy"), MANIFEST_MISTAKES)
def test_a_mistake_in_the_manifest_is_named_with_its_place_and_remedy(
    manifest: str, place: str, what: str, remedy: str
) -> None:
    found = mistakes_of(rule(), manifest)
    fitting = [line for line in found if line.startswith(f"pack/policy.yaml:{place}: ")]
    assert len(fitting) == 1, found
    assert what in fitting[0]
    assert remedy in fitting[0]


def test_a_file_that_is_not_listed_is_a_mistake() -> None:
    assert mistakes_of(rule(), forgotten_yaml=rule()) == [
        "pack/forgotten.yaml:1:1: policy.yaml does not list the file; "
        "list it under rules or registers, or take it out of the folder"
    ]


def test_a_basis_belongs_to_one_rule() -> None:
    allowing = OBJECTION.replace("drop\n    reason: NO_CONSENT", "allow\n    basis: by-consent")
    found = mistakes_of("rules:\n" + allowing + allowing.replace("no-consent", "again"))
    assert [line for line in found if "the basis by-consent is taken by rules.yaml:6" in line]


def test_all_mistakes_are_found_in_one_go_in_the_order_of_their_places() -> None:
    found = mistakes_of(rule(when="x == 1", then="no", cites=None), MANIFEST + "more: 1\n")
    assert len(found) == 5
    places = [tuple(map(int, line.split(":")[1:3])) for line in found[1:]]
    assert found[0].startswith("pack/policy.yaml:8:1: ")
    assert places == sorted(places)


def test_a_folder_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid, match="there is no such directory"):
        load_policy(tmp_path / "nowhere")


def test_a_folder_that_cannot_be_listed_is_a_mistake_and_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(folder: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(PolicyInvalid, match="the folder cannot be read: Permission denied; see to"):
        load_policy(tmp_path)


def test_a_folder_without_a_manifest_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid, match=r"policy\.yaml:1:1: the file is missing"):
        load_policy(tmp_path)


def test_files_that_would_be_passed_over_or_cannot_be_read_are_mistakes(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(MANIFEST, "utf-8")
    (tmp_path / "rules.yaml").write_text(rule(), "utf-8")
    (tmp_path / "more.yml").write_text(rule(), "utf-8")
    (tmp_path / "latin.yaml").write_bytes(b"# one\n# caf\xe9\n")
    (tmp_path / "big.yaml").write_bytes(b"#" * 2_000_000)
    with pytest.raises(PolicyInvalid) as invalid:
        load_policy(tmp_path)
    text = str(invalid.value)
    assert f"{tmp_path}/more.yml:1:1: the file would be passed over; rename it to .yaml" in text
    assert f"{tmp_path}/latin.yaml:2:1: this is not UTF-8; save the file as UTF-8" in text
    assert f"{tmp_path}/big.yaml:1:1: the file is too large; split it" in text


def test_a_policy_too_large_to_archive_is_refused() -> None:
    filler = {f"r{number}.yaml": "# " + "x" * 200_000 for number in range(3)}
    with pytest.raises(PolicyInvalid, match="too large to archive"):
        load_policy_files({"policy.yaml": MANIFEST} | filler, "pack")
