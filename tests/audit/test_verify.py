"""Verification: whatever somebody does to a chain is found, and named where it was done."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streams.audit.chain import Link, Unreadable
from streams.audit.diagnosis import Damage
from streams.audit.verify import Finding, PartitionReport, verify_partition
from tests.audit.chains import (
    A_YEAR_MS,
    NOW,
    PARTITION,
    SIGNER,
    TOPIC,
    a_chain,
    head_of,
    link,
    placed_anew,
    rewritten,
    the_chain,
    unreadable,
)

TRANSACTIONS = st.lists(st.integers(1, 4), min_size=1, max_size=6)


@st.composite
def chains_and_places(draw: st.DrawFn) -> tuple[list[Link], int]:
    chain = a_chain(draw(TRANSACTIONS))
    return chain, draw(st.integers(0, len(chain) - 1))


def found_in(report: PartitionReport) -> Finding:
    assert report.finding is not None
    assert (report.finding.topic, report.finding.partition) == (TOPIC, PARTITION)
    return report.finding


def what(report: PartitionReport) -> tuple[Damage, int | None, int]:
    finding = found_in(report)
    return finding.damage, finding.offset, finding.sequence


# ------------------------------------------------------------------------------------ sound chains


@given(TRANSACTIONS)
def test_a_chain_as_the_gate_wrote_it_holds_and_its_head_is_the_last_record(
    transactions: list[int],
) -> None:
    chain = a_chain(transactions)

    report = verify_partition(the_chain(), chain)

    assert report.finding is None
    assert report.records == len(chain)
    assert report.head == head_of(chain[-1])
    assert report.head.signed_by == SIGNER.key_id


def test_a_partition_without_records_holds_and_has_no_head() -> None:
    report = verify_partition(the_chain(), [])

    assert (report.finding, report.head, report.records) == (None, None, 0)


# ------------------------------------------------------------------- changed, removed, added, moved


@given(chains_and_places())
def test_a_changed_record_is_named(given: tuple[list[Link], int]) -> None:
    chain, at = given
    chain[at] = rewritten(chain[at])

    assert what(verify_partition(the_chain(), chain)) == (Damage.CHANGED, chain[at].offset, at)


@given(chains_and_places(), st.binary(min_size=32, max_size=32))
def test_a_record_that_was_made_to_follow_another_is_named(
    given: tuple[list[Link], int], previous: bytes
) -> None:
    chain, at = given
    chain[at] = rewritten(chain[at], previous=previous)

    assert what(verify_partition(the_chain(), chain)) == (Damage.CHANGED, chain[at].offset, at)


@given(chains_and_places(), st.integers(-30, 30).filter(bool))
def test_a_record_that_was_given_another_place_is_named(
    given: tuple[list[Link], int], by: int
) -> None:
    chain, at = given
    chain[at] = rewritten(chain[at], sequence=at + by)

    assert what(verify_partition(the_chain(), chain)) == (Damage.CHANGED, chain[at].offset, at)


@given(chains_and_places(), st.integers(-30, 30).filter(bool), st.binary(max_size=32))
def test_a_record_that_was_written_over_with_another_is_named(
    given: tuple[list[Link], int], by: int, previous: bytes
) -> None:
    chain, at = given
    if at == len(chain) - 1 or (at == 0 and not previous):
        return  # without a successor nobody can tell it from one that was added
    chain[at] = rewritten(chain[at], sequence=at + by, previous=previous)

    assert what(verify_partition(the_chain(), chain)) == (Damage.CHANGED, chain[at].offset, at)


@given(chains_and_places(), st.binary(min_size=64, max_size=64))
def test_a_changed_signature_is_named(given: tuple[list[Link], int], signature: bytes) -> None:
    chain, at = given
    chain[at] = replace(chain[at], signature=signature)

    assert what(verify_partition(the_chain(), chain)) == (Damage.CHANGED, chain[at].offset, at)


@given(chains_and_places())
def test_a_record_that_cannot_be_read_any_more_is_named(given: tuple[list[Link], int]) -> None:
    chain, at = given
    records: list[Link | Unreadable] = [*chain[:at], unreadable(chain[at].offset), *chain[at + 1 :]]

    assert what(verify_partition(the_chain(), records)) == (Damage.CHANGED, chain[at].offset, at)


@given(chains_and_places(), st.integers(1, 5))
def test_removed_records_are_named_by_the_first_of_them(
    given: tuple[list[Link], int], count: int
) -> None:
    chain, at = given
    left = [*chain[:at], *chain[at + count :]]
    if at + count >= len(chain):
        return  # the end was cut off: told below

    assert what(verify_partition(the_chain(), left)) == (Damage.REMOVED, left[at].offset, at)


@given(chains_and_places(), st.booleans())
def test_an_added_record_that_is_linked_as_if_it_belonged_is_named(
    given: tuple[list[Link], int], signed_by_a_stranger: bool
) -> None:
    chain, at = given
    forged = link(0, at, chain[at - 1].hash if at else b"", "forged")
    if signed_by_a_stranger:
        forged = replace(forged, signature=bytes(64))
    chain = placed_anew([*chain[:at], forged, *chain[at:]])

    damage, offset, sequence = what(verify_partition(the_chain(), chain))

    assert (offset, sequence) == (at, at)
    assert damage is (Damage.CHANGED if signed_by_a_stranger else Damage.ADDED)


@given(chains_and_places(), st.integers(1, 5))
def test_of_several_added_records_that_follow_each_other_the_first_is_named(
    given: tuple[list[Link], int], count: int
) -> None:
    chain, at = given
    forged = [link(0, at, chain[at - 1].hash if at else b"", "forged")]
    for n in range(1, count):
        forged.append(link(0, at + n, forged[-1].hash, "forged"))
    chain = placed_anew([*chain[:at], *forged, *chain[at:]])

    assert what(verify_partition(the_chain(), chain)) == (Damage.ADDED, at, at)


@given(chains_and_places(), st.integers(0, 30), st.binary(min_size=32, max_size=32))
def test_an_added_record_that_fits_nowhere_is_named(
    given: tuple[list[Link], int], sequence: int, previous: bytes
) -> None:
    chain, at = given
    chain = placed_anew([*chain[:at], link(0, sequence, previous, "forged"), *chain[at:]])

    assert what(verify_partition(the_chain(), chain)) == (Damage.ADDED, at, sequence)


@given(chains_and_places(), st.data())
def test_a_forged_second_version_of_an_earlier_record_is_named_and_not_the_earlier_one(
    given: tuple[list[Link], int], data: st.DataObject
) -> None:
    chain, at = given
    if at == 0:
        return
    earlier = chain[data.draw(st.integers(0, at - 1))]
    version = link(0, earlier.sequence, earlier.previous, "forged")
    chain = placed_anew([*chain[:at], version, *chain[at:]])

    assert what(verify_partition(the_chain(), chain)) == (Damage.ADDED, at, earlier.sequence)


@given(chains_and_places(), st.data())
def test_a_copy_of_a_later_record_is_named(
    given: tuple[list[Link], int], data: st.DataObject
) -> None:
    chain, at = given
    later = data.draw(st.integers(at, len(chain) - 1))
    if later == at:
        return
    chain = placed_anew([*chain[:at], chain[later], *chain[at:]])

    assert what(verify_partition(the_chain(), chain)) == (Damage.ADDED, at, later)


@given(chains_and_places())
def test_something_added_that_is_no_record_of_the_gate_is_named(
    given: tuple[list[Link], int],
) -> None:
    chain, at = given
    placed = placed_anew([*chain[:at], chain[at], *chain[at:]])
    records: list[Link | Unreadable] = [*placed[:at], unreadable(at), *placed[at + 1 :]]

    assert what(verify_partition(the_chain(), records)) == (Damage.ADDED, at, at)


@given(chains_and_places())
def test_a_record_that_was_written_twice_is_named(given: tuple[list[Link], int]) -> None:
    chain, at = given
    chain = placed_anew([*chain[: at + 1], chain[at], *chain[at + 1 :]])

    assert what(verify_partition(the_chain(), chain)) == (Damage.ADDED, at + 1, at)


@given(chains_and_places())
def test_a_record_that_was_moved_forward_is_named(given: tuple[list[Link], int]) -> None:
    chain, at = given
    if at == 0:
        return
    for earlier in range(at):
        moved = chain[:at] + chain[at + 1 :]
        moved.insert(earlier, chain[at])

        damage, offset, sequence = what(verify_partition(the_chain(), placed_anew(moved)))

        assert (damage, offset, sequence) == (Damage.MOVED, earlier, at)


# --------------------------------------------------------------------------------- ends of the log


@given(st.lists(st.integers(2, 4), min_size=1, max_size=5), st.data())
def test_an_end_cut_off_within_a_transaction_is_found_by_its_missing_signature(
    transactions: list[int], data: st.DataObject
) -> None:
    chain = a_chain(transactions)
    unsigned = [at for at, record in enumerate(chain) if record.signature is None]
    last = data.draw(st.sampled_from(unsigned))
    signed = [record.sequence for record in chain[: last + 1] if record.signature]
    first_unsigned = signed[-1] + 1 if signed else 0

    report = verify_partition(the_chain(), chain[: last + 1])

    assert what(report) == (Damage.UNSIGNED, chain[first_unsigned].offset, first_unsigned)
    assert found_in(report).proven_until == (signed[-1] if signed else None)


def test_an_end_cut_off_after_a_transaction_is_found_by_the_filed_head_only() -> None:
    chain = a_chain([2, 2, 2])
    cut = chain[:4]
    filed = [head_of(chain[3]), head_of(chain[5])]

    assert verify_partition(the_chain(), cut).finding is None
    assert what(verify_partition(the_chain(filed=filed), cut)) == (Damage.REMOVED, None, 4)
    assert verify_partition(the_chain(filed=filed), chain).finding is None


def test_a_topic_made_anew_is_found_by_the_filed_head() -> None:
    filed = [head_of(a_chain([2])[1])]

    assert what(verify_partition(the_chain(filed=filed), [])) == (Damage.REMOVED, None, 1)


def test_records_added_at_the_end_without_our_key_are_named() -> None:
    chain = a_chain([2, 2])
    forged = link(99, 4, chain[-1].hash, "forged")
    stranger = link(99, 4, b"", "forged")

    assert what(verify_partition(the_chain(), [*chain, forged])) == (Damage.UNSIGNED, 99, 4)
    assert what(verify_partition(the_chain(), [*chain, stranger])) == (Damage.ADDED, 99, 4)


def test_a_chain_written_anew_without_our_key_fails_at_its_first_signature() -> None:
    chain = a_chain([2, 2, 2])
    anew = chain[:3]
    for record in chain[3:]:
        anew.append(rewritten(record, previous=anew[-1].hash))

    report = verify_partition(the_chain(), anew)

    assert what(report) == (Damage.CHANGED, chain[3].offset, 3)
    assert found_in(report).proven_until == 1
    assert "up to sequence 1" in found_in(report).text


def test_a_chain_written_anew_with_our_key_is_found_by_the_filed_head_only() -> None:
    chain = a_chain([1, 1, 1])
    anew = [chain[0], link(chain[1].offset, 1, chain[0].hash, "other", signed=True)]
    filed = [head_of(chain[1])]

    assert verify_partition(the_chain(), anew).finding is None
    assert what(verify_partition(the_chain(filed=filed), anew))[::2] == (Damage.CHANGED, 1)


# --------------------------------------------------------------------------------------- retention


def test_what_retention_removed_is_no_damage() -> None:
    chain = a_chain([2, 2, 2])

    report = verify_partition(the_chain(log_start_offset=chain[3].offset), chain[3:])

    assert (report.finding, report.gone, report.first_sequence) == (None, 3, 3)
    assert report.head == head_of(chain[-1])


def test_what_is_missing_at_the_start_of_a_whole_log_was_removed() -> None:
    chain = a_chain([2, 2, 2])

    report = verify_partition(the_chain(log_start_offset=0), chain[3:])

    assert what(report) == (Damage.REMOVED, chain[3].offset, 0)


def test_a_first_record_that_others_preceded_as_aborted_ones_is_still_the_first() -> None:
    chain = a_chain([2], first_offset=10)

    report = verify_partition(the_chain(log_start_offset=5), chain)

    assert (report.finding, report.gone) == (None, 0)


def test_a_record_gone_before_its_time_was_removed() -> None:
    chain = a_chain([1, 1, 1])
    recent = [head_of(chain[0])]
    old = [head_of(chain[0], appended_at=NOW - 4 * A_YEAR_MS)]

    def start(filed: list) -> PartitionReport:  # type: ignore[type-arg]
        return verify_partition(the_chain(chain[2].offset, filed=filed), chain[2:])

    assert start(old).finding is None
    assert what(start(recent)) == (Damage.REMOVED, chain[2].offset, 0)


def test_the_first_record_left_must_follow_the_one_that_was_filed() -> None:
    chain = a_chain([1, 1, 1])
    old = NOW - 4 * A_YEAR_MS
    other = head_of(chain[1], appended_at=old, hash="00" * 32)
    same = head_of(chain[1], appended_at=old)

    def start(filed: list) -> PartitionReport:  # type: ignore[type-arg]
        return verify_partition(the_chain(chain[2].offset, filed=filed), chain[2:])

    assert start([same]).finding is None
    assert what(start([other])) == (Damage.CHANGED, chain[2].offset, 2)


def test_a_partition_emptied_by_retention_holds_if_its_head_is_as_old() -> None:
    (record,) = a_chain([1])
    old = head_of(record, appended_at=NOW - 4 * A_YEAR_MS)

    assert verify_partition(the_chain(7, filed=[old]), []).finding is None
    assert what(verify_partition(the_chain(7, filed=[head_of(record)]), []))[0] is Damage.REMOVED


def test_a_walk_from_the_middle_asks_for_nothing_before_it() -> None:
    chain = a_chain([2, 2, 2])
    filed = [head_of(chain[1])]

    report = verify_partition(the_chain(whole=False, filed=filed), chain[3:])
    nothing = verify_partition(the_chain(whole=False, filed=filed), [])

    assert (report.finding, report.gone, report.records) == (None, 0, 3)
    assert nothing.finding is None


def test_an_unreadable_record_at_the_start_of_what_is_left_is_named() -> None:
    chain = a_chain([2, 2, 2])
    records: list[Link | Unreadable] = [unreadable(chain[2].offset), *chain[3:]]

    report = verify_partition(the_chain(log_start_offset=chain[2].offset), records)

    assert what(report) == (Damage.CHANGED, chain[2].offset, 2)


# -------------------------------------------------------------------------------------------- text


def test_the_text_names_topic_partition_offset_and_sequence() -> None:
    chain = a_chain([2, 2])
    chain[2] = rewritten(chain[2])

    finding = found_in(verify_partition(the_chain(), chain))

    assert f"{TOPIC} partition {PARTITION}: sequence 2 (offset 3) was changed" in finding.text
    assert "Proven by signature: up to sequence 1" in finding.text
