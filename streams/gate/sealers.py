"""Sealers: under which key one person's content is sealed, making one where there is none."""

from __future__ import annotations

from streams.sealing.data_keys import DataKeys, Sealer
from streams.state.subjects import Subjects


class Sealers:
    """For the loop's thread. A key that is made here is stored with the batch's transaction."""

    def __init__(self, subjects: Subjects, data_keys: DataKeys) -> None:
        self._subjects = subjects
        self._data_keys = data_keys

    def of(self, partition: int, subject_id: bytes, now_ms: int) -> Sealer:
        """
        Open the subject's data key, making one if there is none.

        Raises :class:`streams.errors.KeyMissing` while the key-encryption key is away.
        """
        key = self._subjects.key(partition, subject_id)
        if key is None:
            key = self._data_keys.new_key(subject_id, now_ms)
            self._subjects.change_key(partition, subject_id, key)
        return self._data_keys.sealer(key)
