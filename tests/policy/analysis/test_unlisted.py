"""What rules look at and no register lists: told with the rule's place, and no mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.cli.policy import policy_app
from streams.policy.analysis.findings import Finding, FindingKind, findings
from streams.policy.analysis.outcomes import Analysis
from streams.policy.policy import load_policy_files

MANIFEST = """\
name: small
edition: "1"
purposes:
  marketing: Advertising.
rules: [rules.yaml]
"""
LINKS = "links:\n  own: [shop.example]\n  registration: [shop.example/join]\n"
SENDERS = "senders:\n  - id: shop\n"
OPT_OUT = "opt_out:\n  purposes: [marketing]\n  texts:\n    any: [reply stop]\n"
MARKS = "marks:\n  under: [marketing]\n  invitation: [join me]\n"
HOURS = (
    "hours:\n  - {region: any, purposes: [marketing], from: '08:00', to: '21:00', cites: Rule}\n"
)
CAPS = "caps:\n  - {purposes: [marketing], most: 3, window: 1d}\n"

FOREIGN = "links in [Links.SHORT, Links.FOREIGN]"
TO_JOIN = "registration == Registration.LINKED"
STRANGE = "sender != Sender.KNOWN && sender != Sender.UNREAD"
NO_WAY_OUT = "opt_out == OptOut.MISSING"
IN_DISGUISE = "marks != Marks.NONE"
AT_NIGHT = "quiet_hours == QuietHours.QUIET"
TOO_MANY = "frequency == Frequency.EXCEEDED"


def rules(*conditions: str) -> str:
    return "rules:\n" + "".join(
        f"  - id: rule-{number}\n    text: Rule {number}.\n    when: {condition}\n"
        "    then: drop\n    reason: NO_CONSENT\n    cites: Case\n"
        for number, condition in enumerate(conditions)
    )


def files(*conditions: str, registers: str = "", caps: str = "") -> dict[str, str]:
    made = {"policy.yaml": MANIFEST + caps, "rules.yaml": rules(*conditions)}
    if registers:
        made["policy.yaml"] += "registers: [registers.yaml]\n"
        made["registers.yaml"] = registers
    return made


def found(made: dict[str, str]) -> list[Finding]:
    analysis = Analysis(load_policy_files(made, "small"))
    return [each for each in findings(analysis) if each.kind is FindingKind.UNLISTED]


@pytest.mark.parametrize(
    ("condition", "registers", "what"),
    [
        (FOREIGN, "", "looks at links, but there is no register of links"),
        (TO_JOIN, "", "looks at registration, but there is no register of links"),
        (FOREIGN, "links:\n  short: [bit.ly]\n", "links lists no host of your own"),
        (TO_JOIN, "links:\n  own: [shop.example]\n", "links lists no page on which one registers"),
        (STRANGE, "", "looks at sender, but there is no register of senders"),
        (
            STRANGE,
            "senders:\n  - {id: shop, jurisdictions: [CN, US]}\n",
            "but under OTHER and EU and CA senders lists none that is registered there",
        ),
        (NO_WAY_OUT, "", "looks at opt_out, but there is no register of opt-out texts"),
        (
            NO_WAY_OUT,
            "opt_out:\n  purposes: [marketing]\n  texts: {CN: [stop R], US: [stop], CA: [stop]}\n",
            "but under OTHER and EU opt_out lists no text for there",
        ),
        (IN_DISGUISE, "", "looks at marks, but no words of invitations and advertising are listed"),
        (IN_DISGUISE, "marks:\n  under: [marketing]\n", "no words of invitations and advertising"),
        (AT_NIGHT, "", "looks at quiet_hours, but no hours are listed"),
        (TOO_MANY, "", "looks at frequency, but there are no caps"),
    ],
)
def test_what_a_rule_looks_at_and_nothing_lists_is_told_at_the_rule(
    condition: str, registers: str, what: str
) -> None:
    (finding,) = found(files("consent == Consent.NONE", condition, registers=registers))
    assert what in finding.what
    assert (finding.file, finding.line, finding.rules) == ("rules.yaml", 8, ("rule-1",))
    assert not finding.kind.mistake
    assert finding.remedy.endswith("or leave it at that")


ALL = (FOREIGN, TO_JOIN, STRANGE, NO_WAY_OUT, IN_DISGUISE, AT_NIGHT, TOO_MANY)


def test_what_is_listed_is_not_told_of() -> None:
    listed = LINKS + SENDERS + OPT_OUT + MARKS + HOURS
    assert found(files(*ALL, registers=listed, caps=CAPS)) == []


def test_what_no_rule_looks_at_need_not_be_listed() -> None:
    assert found(files("consent == Consent.NONE")) == []


def test_a_rule_that_asks_only_where_it_is_listed_is_not_told_of() -> None:
    chinese = "senders:\n  - {id: shop, jurisdictions: [CN]}\n"
    under_cn = f"jurisdiction == Jurisdiction.CN && {STRANGE}"
    assert found(files(under_cn, registers=chinese)) == []
    assert len(found(files(under_cn, STRANGE, registers=chinese))) == 1


def test_the_rules_of_one_fact_are_told_of_once() -> None:
    (finding,) = found(files(STRANGE, f"{STRANGE} && member == Member.NO"))
    assert finding.rules == ("rule-0", "rule-1")
    assert finding.what.startswith("rule-0 and 1 more rule look at sender")


def test_hosts_in_a_pack_do_not_count_for_the_policy_that_it_is_part_of() -> None:
    laws = ("CN", "US", "EU", "CA", "OTHER")
    whole = MANIFEST.replace("rules: [rules.yaml]\n", "") + "packs:\n"
    made = {"policy.yaml": whole + "".join(f"  {law}: pack-{law.lower()}\n" for law in laws)}
    for law in laws:
        pack = files(FOREIGN, NO_WAY_OUT, registers=LINKS + (OPT_OUT if law != "EU" else ""))
        made |= {f"../pack-{law.lower()}/{name}": text for name, text in pack.items()}

    links, opt_out = sorted(found(made), key=lambda finding: finding.what.partition(" but ")[2:])

    assert "but there is no register of links" in links.what
    assert len(links.rules) == 5
    assert "but under EU there is no register of opt-out texts" in opt_out.what
    assert (opt_out.file, opt_out.rules) == ("../pack-eu/rules.yaml", ("pack-eu/rule-1",))


def test_the_command_warns_of_it(tmp_path: Path) -> None:
    for name, text in files(FOREIGN, "consent == Consent.NONE").items():
        (tmp_path / name).write_text(text, "utf-8")

    told = CliRunner().invoke(policy_app, ["check", str(tmp_path)])
    assert told.exit_code == 0
    assert (
        f"{tmp_path}/rules.yaml:2:1: warning: rule-0 looks at links, but there is no" in told.stdout
    )
    listed = json.loads(CliRunner().invoke(policy_app, ["check", "--json", str(tmp_path)]).stdout)
    kinds = {each["kind"]: each for each in listed["findings"]}
    assert (kinds["unlisted"]["severity"], kinds["unlisted"]["line"]) == ("warning", 2)
