"""
A policy: the rules of one version, and the verdict on any facts.

Deny overrides: every rule that objects is recorded, a drop beats a quarantine, and without an
objection some rule must allow, else NO_BASIS. Rules are in force by UTC day.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import product
from pathlib import Path

from streams.errors import PolicyInvalid
from streams.policy.caps import Caps
from streams.policy.conditions import Language
from streams.policy.confirm_rules import confirm_rules
from streams.policy.confirming import Confirming
from streams.policy.documents import MAX_FILE_CHARACTERS, Document
from streams.policy.facts import Assessment, Facts, nothing_known
from streams.policy.lapse import Lapses, sooner
from streams.policy.manifest import BESIDE, MANIFEST, TESTS, Manifest, first_ms, pack_folders
from streams.policy.mistakes import Mistakes
from streams.policy.packs import read_pack
from streams.policy.reasons import Reason, severest_first
from streams.policy.registers import RegisterReader, Registers, together
from streams.policy.rules import Rule, RuleReader, Then
from streams.policy.verdicts import Allow, Drop, Quarantine, Verdict
from streams.policy.vocabulary import Jurisdiction, State

MAX_FILES = 64
MAX_TOTAL_CHARACTERS = 512 * 1024
"""A version is archived as one record of the topic ``policies``, whose brokers take 1 MB."""

MAX_REMEMBERED = 50_000
"""
Verdicts remembered for a period in force: about 25 MB.

Ordinary traffic makes a few hundred different fact tuples. At the limit the memo starts anew, so
that no traffic can make it grow; a miss costs some tenths of a millisecond.
"""

DAY_MS = 86_400_000


class Policy:
    """
    One version of the rules. Immutable but for the memo; used by one thread at a time.

    ``version`` is the SHA-256, in hex, of the names and bytes of its files. ``files`` are their
    texts by name, as archived. ``purposes`` are those it declares, ``rules`` stand in file order,
    ``registers`` are what it lists beside them, ``caps`` say how many messages a person may get.
    ``observed`` are rules that are only watched: they are none of ``rules``, so that nothing that
    judges, remembers or analyses can tell whether they are there.
    ``confirming`` says which consents have to be confirmed, null for none; what waits is dropped by
    rules that come with it. ``lapses`` says which consents end by themselves, null for none.
    """

    def __init__(
        self,
        *,
        name: str,
        edition: str,
        version: str,
        files: dict[str, str],
        purposes: frozenset[str],
        rules: tuple[Rule, ...],
        registers: Registers,
        language: Language,
        confirming: Confirming | None = None,
        caps: Caps | None = None,
        register_texts: tuple[str, ...] = (),
        lapses: Lapses | None = None,
    ) -> None:
        """Put together what :func:`load_policy_files` has checked."""
        self.name = name
        self.edition = edition
        self.version = version
        self.files = files
        self.purposes = purposes
        self.observed = tuple(rule for rule in rules if rule.observe)
        self.rules = rules = tuple(rule for rule in rules if not rule.observe)
        self.registers = registers
        self._register_texts = register_texts
        self.caps = caps or Caps()
        self._holds: dict[tuple[Quarantine, int], Quarantine] = {}
        self.confirming = confirming
        self.lapses = lapses or None
        self._language = language
        self._by_basis = {rule.basis: rule for rule in rules if rule.basis is not None}
        changes = {day for rule in rules for day in (rule.from_day, rule.until_day) if day}
        self._changes = sorted(first_ms(day) for day in changes)
        self._periods = [
            _Period(tuple(rule for rule in rules if rule.in_force(start)))
            for start in [None, *sorted(changes)]
        ]

    @property
    def language(self) -> Language:
        """What the conditions of the rules are written in."""
        return self._language

    def decide(self, assessment: Assessment) -> Verdict:
        """
        Give the verdict on what was assessed, by the rules in force at that time. Pure.

        What is held for quiet hours, or because the person got enough, is held until the one ends
        and there is a slot for the other.
        """
        facts, _, now_ms, opens_at, slot_at = assessment
        verdict = self.verdict(facts, now_ms)
        if type(verdict) is not Quarantine or (opens_at is None and slot_at is None):
            return verdict
        if slot_at is not None and Reason.FREQUENCY in verdict.reasons:
            quiet = opens_at is not None and Reason.QUIET_HOURS in verdict.reasons
            # Not kept: a slot is a time of its own for nearly every person.
            return replace(verdict, hold_until=max(slot_at, opens_at or 0) if quiet else slot_at)
        return verdict if opens_at is None else self._until(verdict, opens_at)

    def _until(self, verdict: Quarantine, opens_at: int) -> Verdict:
        """Put the time to a verdict that is remembered by facts; the same one for the same time."""
        if Reason.QUIET_HOURS not in verdict.reasons:
            return verdict
        timed = self._holds.get((verdict, opens_at))
        if timed is None:
            if len(self._holds) >= MAX_REMEMBERED:
                self._holds.clear()
            timed = self._holds[verdict, opens_at] = replace(verdict, hold_until=opens_at)
        return timed

    def period(self, now_ms: int) -> int:
        """Number the days in which the same rules are in force as at ``now_ms``."""
        return bisect_right(self._changes, now_ms) if self._changes else 0

    def verdict(self, facts: Facts, now_ms: int) -> Verdict:
        """
        Give the verdict on ``facts`` by the rules in force at ``now_ms``.

        Before any rule: a state that could not be read and an undeclared purpose quarantine. An
        error inside a rule quarantines as POLICY_ERROR, whatever other rules say: one that did not
        answer may have been the one to drop.
        """
        period = self._periods[self.period(now_ms)]
        verdict = period.memo.get(facts)
        if verdict is None:
            before = self._before_rules(facts)
            if before:
                # Not remembered: an undeclared purpose is a string of the sender's choice.
                return Quarantine(before)
            verdict = self._judge(facts, period)
            if len(period.memo) >= MAX_REMEMBERED:
                period.memo.clear()
            period.memo[facts] = verdict
        return verdict

    def objections(self, facts: Facts, now_ms: int) -> tuple[Rule, ...]:
        """
        List the rules in force at ``now_ms`` that object to ``facts``, severest reason first.

        A rule that did not answer counts. None objects where the verdict came before any rule.
        """
        if self._before_rules(facts):
            return ()
        activation = self._language.activation(facts)
        period = self._periods[self.period(now_ms)]
        objecting = [
            rule for rule in period.objecting if rule.condition.holds(activation) is not False
        ]
        return tuple(sorted(objecting, key=_severity))

    def observing(self, now_ms: int) -> tuple[Rule, ...]:
        """List the observed rules that are in force at ``now_ms``."""
        if not self.observed:
            return ()
        day = datetime.fromtimestamp(now_ms / 1000, UTC).date()
        return tuple(rule for rule in self.observed if rule.in_force(day))

    def matching(self, rules: tuple[Rule, ...], facts: Facts) -> tuple[Rule, ...]:
        """
        List which of these observed ``rules`` match ``facts``; none where no rule is asked.

        One that did not answer counts: enforced, it would hold the message.
        """
        if not rules or self._before_rules(facts):
            return ()
        activation = self._language.activation(facts)
        return tuple(rule for rule in rules if rule.condition.holds(activation) is not False)

    def reads_like(self, other: Policy) -> bool:
        """Whether every message has the same facts under both: true only where that is certain."""
        return (
            self.purposes == other.purposes
            and (
                self.registers == other.registers
                or self._register_texts == other._register_texts != ()
            )
            and self.confirming == other.confirming
            and self.lapses == other.lapses
            and self.caps.declared == other.caps.declared
        )

    def rule_for_basis(self, basis: str) -> Rule | None:
        """Find the rule that allows on this basis; null where this version has none."""
        return self._by_basis.get(basis)

    def _before_rules(self, facts: Facts) -> tuple[Reason, ...]:
        reasons = set()
        if facts.state is State.UNDECODABLE:
            reasons.add(Reason.STATE_UNDECODABLE)
        if facts.purpose not in self.purposes:
            reasons.add(Reason.PURPOSE_UNKNOWN)
        return severest_first(reasons)

    def _judge(self, facts: Facts, period: _Period) -> Verdict:
        activation = self._language.activation(facts)
        reasons: set[Reason] = set()
        drop = False
        for rule in period.objecting:
            holds = rule.condition.holds(activation)
            if holds is None:
                return Quarantine((Reason.POLICY_ERROR,))
            if holds and rule.reason is not None:
                reasons.add(rule.reason)
                drop = drop or rule.then is Then.DROP
        basis = None
        for rule in period.allowing:
            holds = rule.condition.holds(activation)
            if holds is None:
                return Quarantine((Reason.POLICY_ERROR,))
            if holds and basis is None:
                basis = rule.basis
        if reasons:
            return Drop(severest_first(reasons)) if drop else Quarantine(severest_first(reasons))
        return Drop((Reason.NO_BASIS,)) if basis is None else Allow(basis)


class _Period:
    """Days on which the same rules are in force, and the verdicts given by them."""

    __slots__ = ("allowing", "memo", "objecting")

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.objecting = tuple(rule for rule in rules if rule.then is not Then.ALLOW)
        self.allowing = tuple(rule for rule in rules if rule.then is Then.ALLOW)
        self.memo: dict[Facts, Verdict] = {}


def load_policy(directory: Path) -> Policy:
    """
    Read and check the policy in ``directory``.

    Reads the ``*.yaml`` files that lie in it and in the folders of its packs, which lie beside it;
    not in folders below, and not its tests. Raises
    :class:`PolicyInvalid` with every mistake, a line each: ``file:line:column: what; remedy``.
    """
    if not directory.is_dir():
        raise PolicyInvalid(f"{directory}:1:1: there is no such directory; name a policy's folder")
    mistakes = Mistakes(str(directory))
    files = _read_folder(directory, "", mistakes)
    for folder in pack_folders(files.get(MANIFEST, "")):
        beside = directory.resolve().parent / folder
        if beside.is_dir():
            files |= _read_folder(beside, f"{BESIDE}{folder}/", mistakes)
    return _checked(files, mistakes)


def _read_folder(directory: Path, prefix: str, mistakes: Mistakes) -> dict[str, str]:
    """Read what a policy is made of, each text under its name behind ``prefix``."""
    files: dict[str, str] = {}
    try:
        paths = sorted(directory.iterdir())
    except OSError as error:
        what = f"the folder cannot be read: {error.strerror}"
        mistakes.add(prefix + MANIFEST, 1, 1, what, "see to it")
        return files
    for path in paths:
        name = prefix + path.name
        if path.name.startswith(".") or path.name == TESTS or not path.is_file():
            continue
        if path.suffix == ".yml":
            mistakes.add(name, 1, 1, "the file would be passed over", "rename it to .yaml")
        if path.suffix == ".yaml":
            try:
                if path.stat().st_size > 4 * MAX_FILE_CHARACTERS:
                    raise OverflowError
                files[name] = path.read_bytes().decode("utf-8")
            except OverflowError:
                mistakes.add(name, 1, 1, "the file is too large", "split it")
            except UnicodeDecodeError as error:
                line = error.object.count(b"\n", 0, error.start) + 1
                mistakes.add(name, line, 1, "this is not UTF-8", "save the file as UTF-8")
            except OSError as error:
                mistakes.add(name, 1, 1, f"cannot be read: {error.strerror}", "see to it")
    return files


def load_policy_files(files: Mapping[str, str], where: str) -> Policy:
    """
    Check a policy given as the texts of its files by name, as the archive keeps them.

    ``where`` is what mistakes call its directory. The version is the one its directory had.
    """
    return _checked(dict(files), Mistakes(where))


def version_of(files: Mapping[str, str]) -> str:
    """Hash names and bytes, each with its length, in the order of names."""
    digest = sha256()
    for name in sorted(files):
        for part in (name.encode(), files[name].encode()):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()


def _checked(files: dict[str, str], mistakes: Mistakes) -> Policy:
    if MANIFEST not in files:
        mistakes.add(
            MANIFEST, 1, 1, "the file is missing", "write it: name, edition, purposes and rules"
        )
        mistakes.raise_if_any()
    if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_TOTAL_CHARACTERS:
        mistakes.add(
            MANIFEST,
            1,
            1,
            "the policy is too large to archive",
            f"keep to {MAX_FILES} files of {MAX_TOTAL_CHARACTERS} characters in all",
        )
        mistakes.raise_if_any()
    manifest = Manifest(Document(MANIFEST, files[MANIFEST], mistakes), files, mistakes)
    if not manifest.purposes:
        # Every rule names a purpose: each would be one more mistake that is none.
        mistakes.raise_if_any()
    language = Language(manifest.purposes)
    reader = RuleReader(language)
    with_confirm: list[Rule] = []
    if manifest.confirming is not None:
        declared = frozenset(manifest.purposes)
        with_confirm = confirm_rules(manifest.confirming, declared, reader, manifest.confirm_line)
    rules = [
        rule
        for name in manifest.rule_files
        for rule in reader.read(Document(name, files[name], mistakes))
    ]
    listing = RegisterReader(manifest.purposes)
    for name in manifest.register_files:
        listing.read(Document(name, files[name], mistakes))
    registers, caps = listing.registers(), manifest.caps
    lapses = dict.fromkeys(Jurisdiction, manifest.lapse)
    if manifest.packs:
        parts = [
            read_pack(law, folder, manifest, files, language, mistakes)
            for law, folder in manifest.packs.items()
        ]
        rules += [rule for part in parts for rule in part.rules]
        registers = together(registers, {part.law: part.registers for part in parts})
        lapses |= {part.law: sooner(manifest.lapse, part.lapse) for part in parts}
        # Who is where is known too seldom: what is too often anywhere is too often.
        caps = list(dict.fromkeys([*caps, *(cap for part in parts for cap in part.caps)]))
    mistakes.raise_if_any()
    policy = Policy(
        name=manifest.name,
        edition=manifest.edition,
        version=version_of(files),
        files=files,
        purposes=frozenset(manifest.purposes),
        rules=(*rules, *with_confirm),
        registers=registers,
        language=language,
        confirming=manifest.confirming,
        caps=Caps(caps),
        register_texts=_register_texts(manifest, files),
        lapses={law: lapse for law, lapse in lapses.items() if lapse},
    )
    _refuse_to_allow_the_unknown(policy, mistakes)
    mistakes.raise_if_any()
    return policy


def _register_texts(manifest: Manifest, files: Mapping[str, str]) -> tuple[str, ...]:
    """Give all texts that the registers were made of; of packs all, which is more than that."""
    of_packs = sorted(name for name in files if manifest.packs and "/" in name)
    packs = [f"{law.value} {folder}" for law, folder in manifest.packs.items()]
    names = [*manifest.register_files, *of_packs]
    return (*packs, *of_packs, *(files[name] for name in names))


def _refuse_to_allow_the_unknown(policy: Policy, mistakes: Mistakes) -> None:
    """Try the policy on messages of which nothing but the law is known: none may pass (I5)."""
    for start in [0, *policy._changes]:
        for purpose, law in product(sorted(policy.purposes), Jurisdiction):
            facts = nothing_known(purpose)._replace(jurisdiction=law)
            verdict = policy.verdict(facts, start)
            rule = policy.rule_for_basis(verdict.basis) if isinstance(verdict, Allow) else None
            if rule is not None:
                mistakes.add(
                    rule.file,
                    rule.line,
                    1,
                    f"{rule.id} allows {purpose} to somebody of whom nothing is known",
                    "require a consent, an occasion or a membership",
                )


def _severity(rule: Rule) -> tuple[int, str]:
    return (rule.reason.severity if rule.reason else 0, rule.id)
