"""
Verification of one partition's chain: does every record stand where and as the gate wrote it?

Pure: the records come from an iterator, the time and the signature check are handed in. What is
found is reported, not raised. The walk ends at the first thing found: nothing after it is proven.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from streams.audit.chain import FIRST_PREVIOUS, Link, Unreadable
from streams.audit.diagnosis import NEIGHBOURS, Damage, Neighbours, diagnose
from streams.audit.heads import Head


@dataclass(frozen=True, slots=True)
class Finding:
    """
    The first record of a chain that does not hold.

    ``offset`` is where it stands, or for removed ones where the next record stands (None: nothing
    follows). ``sequence`` is its place in the chain. Up to ``proven_until`` everything holds, by a
    signature; what is between that and ``sequence`` is linked but not covered by a signature, and
    may have been written anew together with it. None: nothing is proven.
    """

    damage: Damage
    topic: str
    partition: int
    offset: int | None
    sequence: int
    proven_until: int | None
    text: str


@dataclass(frozen=True, slots=True)
class PartitionReport:
    """
    What was found in one partition.

    ``records`` were read and hold, ``first_sequence`` is the first of them. ``gone`` counts records
    before it that retention removed. ``head`` is the last record that is proven.
    """

    topic: str
    partition: int
    records: int
    first_sequence: int | None
    gone: int
    head: Head | None
    finding: Finding | None


@dataclass(frozen=True, slots=True)
class Chain:
    """
    Which chain is verified, and against what.

    ``log_start_offset`` is the partition's first offset that the broker still has. ``whole`` is
    false when the walk begins in the middle on purpose. ``signed_by`` gives the id of the key that
    signed a hash, or None. ``filed`` are heads of this partition that were filed earlier.
    ``retention_ms`` and ``now`` tell whether a filed record that is gone had to go by now.
    """

    topic: str
    partition: int
    log_start_offset: int
    signed_by: Callable[[bytes, bytes], str | None]
    retention_ms: int
    now: int
    whole: bool = True
    filed: Sequence[Head] = ()


def verify_partition(chain: Chain, links: Iterable[Link | Unreadable]) -> PartitionReport:
    """
    Walk a chain from its first record to its last.

    ``links`` come in offset order, committed ones only, up to the end that was there when the walk
    began: then the last one ends a transaction, and is signed.
    """
    walk = _Walk(chain)
    iterator = iter(links)
    for link in iterator:
        finding = walk.step(link, iterator)
        if finding is not None:
            return walk.report(finding)
    return walk.report(walk.end())


@dataclass(slots=True)
class _Walk:
    chain: Chain
    records: int = 0
    gone: int = 0
    first: Link | None = None
    proven: Link | None = None
    proven_by: str = ""
    unsigned_since: Link | None = None
    passed: deque[Link] = field(default_factory=lambda: deque(maxlen=NEIGHBOURS))

    def step(self, link: Link | Unreadable, rest: Iterator[Link | Unreadable]) -> Finding | None:
        """Take the next record. ``rest`` is read from only when something was found."""
        sequence, previous = self._expected(link)
        if (
            isinstance(link, Unreadable)
            or link.sequence != sequence
            or (previous is not None and link.previous != previous)
        ):
            neighbours = Neighbours(
                passed=tuple(self.passed),
                following=tuple(islice(rest, NEIGHBOURS)),
                sequence=sequence,
                previous=previous,
                signed_by=self.chain.signed_by,
            )
            found = diagnose(link, neighbours)
            return self._finding(found.damage, found.offset, found.sequence, found.why)
        key_id = None
        if link.signature is not None:
            key_id = self.chain.signed_by(link.hash, link.signature)
            if key_id is None:
                return self._finding(
                    Damage.CHANGED,
                    link.offset,
                    link.sequence,
                    "its signature fits no public key in the secrets folder (if none fits "
                    "anywhere, it is the wrong folder)",
                )
        finding = self._against_filed(link)
        if finding is not None:
            return finding
        self._accept(link, key_id)
        return None

    def end(self) -> Finding | None:
        """Judge the end of the chain."""
        if self.unsigned_since is not None:
            return self._finding(
                Damage.UNSIGNED,
                self.unsigned_since.offset,
                self.unsigned_since.sequence,
                "no signature covers this record or any after it: the end of its transaction was "
                "cut off, or somebody else wrote it",
            )
        last = self.passed[-1].sequence if self.passed else None
        for head in self.chain.filed:
            if last is not None and head.sequence <= last:
                continue
            if last is None and not self._must_have_records(head):
                continue
            missing = last + 1 if last is not None else head.sequence
            return self._finding(
                Damage.REMOVED,
                None,
                missing,
                f"the chain ends before the head with sequence {head.sequence}, filed for "
                f"{_day(head.appended_at)}",
            )
        return None

    def report(self, finding: Finding | None) -> PartitionReport:
        """Sum up."""
        head = None
        if self.proven is not None:
            head = Head(
                topic=self.chain.topic,
                partition=self.chain.partition,
                sequence=self.proven.sequence,
                hash=self.proven.hash.hex(),
                signed_by=self.proven_by,
                appended_at=self.proven.appended_at,
            )
        return PartitionReport(
            topic=self.chain.topic,
            partition=self.chain.partition,
            records=self.records,
            first_sequence=self.first.sequence if self.first else None,
            gone=self.gone,
            head=head,
            finding=finding,
        )

    def _expected(self, link: Link | Unreadable) -> tuple[int, bytes | None]:
        """Give the sequence and previous hash that must come now; None: any hash will do."""
        if self.passed:
            return self.passed[-1].sequence + 1, self.passed[-1].hash
        from_beginning = self.chain.whole and self.chain.log_start_offset == 0
        if from_beginning or (isinstance(link, Link) and link.sequence == 0):
            return 0, FIRST_PREVIOUS
        # What came before is gone by retention, or was not asked for.
        return (link.sequence if isinstance(link, Link) else 0), None

    def _accept(self, link: Link, key_id: str | None) -> None:
        if self.first is None:
            self.first = link
            self.gone = link.sequence if self.chain.whole else 0
        self.records += 1
        self.passed.append(link)
        if key_id is not None:
            self.proven, self.proven_by, self.unsigned_since = link, key_id, None
        elif self.unsigned_since is None:
            self.unsigned_since = link

    def _against_filed(self, link: Link) -> Finding | None:
        for head in self.chain.filed:
            if head.sequence == link.sequence and head.hash != link.hash.hex():
                return self._finding(
                    Damage.CHANGED,
                    link.offset,
                    link.sequence,
                    f"it is not the record that was filed as head for {_day(head.appended_at)}",
                )
            if self.first is not None or not self.chain.whole:
                continue
            if head.sequence == link.sequence - 1 and head.hash != link.previous.hex():
                return self._finding(
                    Damage.CHANGED,
                    link.offset,
                    link.sequence,
                    "it does not follow the record before it, which is gone by retention and was "
                    f"filed as head for {_day(head.appended_at)}",
                )
            if head.sequence < link.sequence and self._before_its_time(head):
                return self._finding(
                    Damage.REMOVED,
                    link.offset,
                    head.sequence,
                    f"it was filed as head for {_day(head.appended_at)}, which is within the "
                    "retention: it was removed before its time",
                )
        return None

    def _must_have_records(self, head: Head) -> bool:
        """Whether an empty partition is wrong, given that a head of it was filed."""
        if not self.chain.whole:
            return False
        return self.chain.log_start_offset == 0 or self._before_its_time(head)

    def _before_its_time(self, head: Head) -> bool:
        return head.appended_at + self.chain.retention_ms > self.chain.now

    def _finding(self, damage: Damage, offset: int | None, sequence: int, why: str) -> Finding:
        proven = self.proven
        if proven is not None and proven.sequence >= sequence:
            proven = None  # what was taken for genuine belongs to what was found
        where = f"{self.chain.topic} partition {self.chain.partition}"
        what = "removed" if offset is None else f"offset {offset}"
        text = f"{where}: sequence {sequence} ({what}) was {damage.value}: {why}."
        if damage is Damage.UNSIGNED:
            text = f"{where}: sequence {sequence} ({what}) is unsigned: {why}."
        if proven is not None:
            text += f" Proven by signature: up to sequence {proven.sequence}."
        else:
            text += " No signature proves anything before it."
        return Finding(
            damage=damage,
            topic=self.chain.topic,
            partition=self.chain.partition,
            offset=offset,
            sequence=sequence,
            proven_until=proven.sequence if proven is not None else None,
            text=text,
        )


def _day(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d}"
