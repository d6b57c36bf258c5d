"""The register of senders: what a STOP covers, and what is said of a mistake in the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from streams.errors import ConfigError
from streams.inbound import (
    Because,
    Coverage,
    Senders,
    classify,
    load_senders,
    packaged_lists,
)
from streams.records.events import Scope

REGISTER = """\
senders:
  - sender_id: acme
    recipients: ["36111", "+4930123456"]
    names: [Acme, Acme Shoes]
    language: de
  - sender_id: acme
    campaign_id: spring
    recipients: ["36112"]
    names: [Spring Sale]
  - {sender_id: globex, names: [Globex]}
"""

Load = Callable[[str], Senders]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write a register and read it."""

    def loaded(text: str) -> Senders:
        path = tmp_path / "senders.yaml"
        path.write_text(text, encoding="utf-8")
        return load_senders(path, packaged_lists())

    return loaded


def covered(senders: Senders, body: str, recipient: str) -> Coverage:
    return senders.coverage(senders.judged(classify(body, None)), recipient)


@pytest.mark.parametrize(
    ("body", "recipient", "scope", "because"),
    [
        ("STOP", "36111", Scope(sender_id="acme"), Because.RECIPIENT),
        ("STOP", " +4930123456", Scope(sender_id="acme"), Because.RECIPIENT),
        ("STOP", "36112", Scope(campaign_id="spring"), Because.RECIPIENT),
        ("STOP", "99999", Scope(), Because.NOT_SAID),
        ("STOP", "", Scope(), Because.NOT_SAID),
        ("STOP ALL", "36111", Scope(), Because.SAID_ALL),
        ("stop globex", "36111", Scope(sender_id="globex"), Because.NAMED),
        ("STOP Acme-Shoes!", "99999", Scope(sender_id="acme"), Because.NAMED),
        ("Stop spring sale", "36111", Scope(campaign_id="spring"), Because.NAMED),
        ("STOP promo", "36111", Scope(sender_id="acme"), Because.RECIPIENT),
        # In doubt: the sender it came to, and never more.
        ("STOP this terrible bill", "36111", Scope(sender_id="acme"), Because.RECIPIENT),
        ("STOP this terrible bill", "36112", Scope(campaign_id="spring"), Because.RECIPIENT),
        ("STOP this terrible bill", "99999", Scope(sender_id="99999"), Because.RECIPIENT),
        ("stop initech", "99999", Scope(sender_id="99999"), Because.RECIPIENT),
    ],
)
def test_what_a_reply_covers(
    load: Load, body: str, recipient: str, scope: Scope, because: Because
) -> None:
    found = covered(load(REGISTER), body, recipient)

    assert (found.scope, found.because) == (scope, because)


def test_the_first_name_is_what_texts_call_it(load: Load) -> None:
    sender = covered(load(REGISTER), "stop acme shoes", "").sender

    assert sender is not None
    assert (sender.name, sender.language) == ("Acme", "de")


def test_without_a_register_everything_is_covered() -> None:
    senders = load_senders(None, packaged_lists())

    assert covered(senders, "STOP", "36111") == Coverage(Scope(), Because.NOT_SAID)


def test_all_mistakes_are_told_at_once_with_their_lines(load: Load, tmp_path: Path) -> None:
    text = """\
senders:
  - {sender_id: acme, recipients: ["36111"], names: [Acme]}
  - {sender_id: globex, recipients: ["36111"], names: [ACME]}
  - sender_id: bank
    names: [The Bank]
    language: xx
  - {recipients: ["1"]}
  - {sender_id: nobody}
  - {sender_id: long, names: [one twoo threee fourr]}
  - {sender: x}
"""
    with pytest.raises(ConfigError) as caught:
        load(text)

    path = tmp_path / "senders.yaml"
    assert str(caught.value).splitlines()[1:] == [
        f"{path}:3: the recipient 36111 stands already on line 2; one entry has it; a number that "
        "several senders share belongs in none, so that a STOP to it covers everything",
        f"{path}:3: the name acme stands already on line 2; keep one of them",
        f"{path}:6: there are no lists for the language 'xx'; use one of ar, de, en, es, fr, hi, "
        "it, ja, ko, nl, pl, pt, ru, zh",
        f"{path}:5: no reply can be found to say 'The Bank': it is read as 'bank'; write at most 3 "
        "words, and none that the lists of keywords know",
        f"{path}:7: the entry has no sender_id; add `sender_id: ...`",
        f"{path}:8: the entry has neither recipients nor names, so no reply belongs to it; add the "
        "numbers that people reply to, or the names that they use",
        f"{path}:9: no reply can be found to say 'one twoo threee fourr'; write at most 3 words, "
        "and none that the lists of keywords know",
        f"{path}:10: unknown key sender; use one of campaign_id, language, names, recipients, "
        "sender_id",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1: the file is empty"),
        ("sender: []\n", "1: unknown key sender"),
        ("{}\n", "1: senders is missing"),
        ("- a\n", "1: the file is no mapping"),
        ("senders: [a]\n", "1: the entry is no mapping"),
        ("senders: [\n", "2: no YAML"),
    ],
)
def test_what_is_no_register_is_told(load: Load, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load(text)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml cannot be read"):
        load_senders(tmp_path / "none.yaml", packaged_lists())


def test_a_sender_is_known_by_its_id_and_itself_before_its_campaigns(load: Load) -> None:
    senders = load(REGISTER)

    known = senders.known_as("acme")
    assert known is not None
    assert (known.name, known.language, known.campaign_id) == ("Acme", "de", None)
    globex = senders.known_as("globex")
    assert globex is not None
    assert globex.name == "Globex"
    assert senders.known_as("36111") is None
