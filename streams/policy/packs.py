"""
A policy put together from packs: each decides under one law, by its own rules and registers.

The folders of packs lie beside that of the policy. Their rules are those they have by themselves,
each with the law as one more condition, so that a policy of packs can be analysed as any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streams.policy.caps import Cap
from streams.policy.conditions import Language
from streams.policy.documents import Document
from streams.policy.lapse import Lapse
from streams.policy.manifest import BESIDE, MANIFEST, Manifest
from streams.policy.mistakes import Mistakes
from streams.policy.registers import RegisterReader, Registers
from streams.policy.rules import Rule, RuleReader
from streams.policy.vocabulary import Jurisdiction


@dataclass(frozen=True, slots=True)
class Pack:
    """One pack as part of a policy."""

    law: Jurisdiction
    rules: tuple[Rule, ...]
    registers: Registers
    caps: tuple[Cap, ...]
    lapse: Lapse


def read_pack(
    law: Jurisdiction,
    folder: str,
    whole: Manifest,
    files: Mapping[str, str],
    language: Language,
    mistakes: Mistakes,
) -> Pack:
    """
    Read the pack that decides under ``law`` in the policy of ``whole``, whose files are ``files``.

    What is wrong is in ``mistakes`` with its place, and left out.
    """
    prefix = f"{BESIDE}{folder}/"
    own = {
        name.removeprefix(prefix): text for name, text in files.items() if name.startswith(prefix)
    }
    document = Document(prefix + MANIFEST, own[MANIFEST], mistakes)
    manifest = Manifest(document, own, mistakes, prefix)
    if document.root is not None:
        if manifest.packs:
            document.wrong(document.root, "a pack has packs itself", "name those in the policy")
        if {*manifest.purposes} != {*whole.purposes}:
            document.wrong(
                document.root,
                "the pack declares other purposes than the policy that it is part of",
                f"declare {', '.join(sorted(whole.purposes))}",
            )
        if manifest.confirming is not None:
            document.wrong(
                document.root,
                "the pack says what has to be confirmed",
                "say it in the policy that it is part of: confirm",
            )
    rules = RuleReader(language, law, folder)
    registers = RegisterReader(manifest.purposes)
    for name in manifest.register_files:
        registers.read(Document(prefix + name, own[name], mistakes))
    return Pack(
        law,
        tuple(
            rule
            for name in manifest.rule_files
            for rule in rules.read(Document(prefix + name, own[name], mistakes))
        ),
        registers.registers(),
        tuple(manifest.caps),
        manifest.lapse,
    )
