"""Opening a partition's history with all that it takes, in any process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streams.audit.archive import Archive, read_archive
from streams.audit.history import History
from streams.audit.topic_log import TopicLog
from streams.codec.codec import open_codecs
from streams.config import Settings
from streams.sealing.keyring import open_subject_ids, open_verifier


@contextmanager
def open_history(
    settings: Settings,
    partition: int,
    open_log: Callable[[Settings], TopicLog] = TopicLog,
) -> Iterator[tuple[History, Archive]]:
    """
    Open the history of one partition and the archive of policies.

    Needs the key of the subject ids and the public signing keys.
    """
    codecs = open_codecs(settings.schema_registry_url, settings.schema_registry, settings.names)
    subject_ids = open_subject_ids(settings.secrets_dir)
    verifier = open_verifier(settings.secrets_dir)
    with History(settings, codecs, subject_ids, verifier, partition, open_log) as history:
        # After the end of the decisions was fixed: no version decides before it is archived.
        with open_log(settings) as log:
            archive = read_archive(log, codecs)
        yield history, archive
