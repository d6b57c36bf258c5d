"""Recipients: whose message a request is, and whether it lies where they are."""

from __future__ import annotations

from streams.errors import KeyMismatch, Misplaced, NotE164
from streams.kafka.placement import partition_of
from streams.records.e164 import is_e164
from streams.records.subject import SubjectState
from streams.sealing.subject_ids import SubjectIds
from streams.state.subjects import Subjects


class Recipients:
    """For the loop's thread. Reads state through the overlay and changes none."""

    def __init__(self, subjects: Subjects, subject_ids: SubjectIds, partitions: int) -> None:
        self._subjects = subjects
        self._subject_ids = subject_ids
        self._partitions = partitions

    def of(
        self, partition: int, recipient: str, key: bytes | None
    ) -> tuple[bytes, SubjectState | None]:
        """
        Return the subject id of who gets a request of this partition, and what is known of them.

        Raises :class:`NotE164`, :class:`KeyMismatch` where the record's key is not the recipient,
        and :class:`Misplaced`: there the state that decides lies in another partition.
        """
        if not is_e164(recipient):
            raise NotE164("The request's recipient is not an E.164 number.")
        encoded = recipient.encode()
        if key != encoded:
            raise KeyMismatch("The request's key is not its recipient.")
        subject_id = self._subject_ids.of(recipient)
        state = self._subjects.state(partition, subject_id)
        # A state with `placed` was folded from a record with this very number, found to belong
        # here. Anything else is computed: having been seen here before proves nothing.
        if (state is None or not state.placed) and (
            partition_of(encoded, self._partitions) != partition
        ):
            raise Misplaced("The request lies in a partition that its key does not belong to.")
        return subject_id, state
