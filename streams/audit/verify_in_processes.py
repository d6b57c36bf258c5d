"""
Verification in several processes, a chain each: most of it is decoding, which one process does
alone.

Chains of different partitions have nothing to do with each other, so each part is verified by
:func:`streams.audit.verify_topics.verify_part`, as in one process.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from streams.audit.heads import Head
from streams.audit.in_processes import cores, in_processes
from streams.audit.topic_log import Progress, TopicLog
from streams.audit.topic_log import Watch as TaskWatch
from streams.audit.verify import PartitionReport
from streams.audit.verify_topics import Part, Watch, parts_of, verify_part
from streams.codec.codec import Codecs, open_codecs
from streams.config import Settings
from streams.sealing.keyring import open_verifier
from streams.sealing.signatures import Verifier

WORTH_A_PROCESS: Final = 50_000
"""Records that take as long as starting a process does, seconds: with fewer one is quicker."""


def processes_for(settings: Settings, only_partition: int | None) -> int:
    """Say how many processes are worth while here: one for so many records, at most a core each."""
    with TopicLog(settings) as log:
        sizes = [
            extent.end - extent.start
            for part in parts_of(log, only_partition)
            for extent in (log.extent(part.topic, part.partition),)
        ]
    return max(1, min(cores(), len(sizes), sum(sizes) // WORTH_A_PROCESS))


def verify_in_processes(
    settings: Settings,
    jobs: int,
    *,
    filed: Sequence[Head] = (),
    only_partition: int | None = None,
    since: int | None = None,
    watch: Watch = lambda topic, partition, offsets: lambda done: None,
) -> list[PartitionReport]:
    """
    Verify every part as :func:`streams.audit.verify_topics.verify_topics` does, ``jobs`` at a time.

    Reports come in the order of the parts. Each process opens the keys and the schemas for itself.
    Raises what a part raised.
    """
    with TopicLog(settings) as log:
        parts = {_label(part): part for part in parts_of(log, only_partition)}
    tasks = [partial(_verify, settings, part, tuple(filed), since) for part in parts.values()]
    return in_processes(tasks, jobs, lambda label, offsets: watch(*parts[label], offsets))


def _label(part: Part) -> str:
    return f"{part.topic.name} {part.partition}"


# ------------------------------------------------------------------------- within such a process

_opened: tuple[Settings, Codecs, Verifier] | None = None
"""What a process has for itself; opened with the first part, where an error can be told."""


def _verify(
    settings: Settings, part: Part, filed: tuple[Head, ...], since: int | None, watch: TaskWatch
) -> PartitionReport:
    global _opened
    if _opened is None or _opened[0] != settings:
        codecs = open_codecs(settings.schema_registry_url, settings.schema_registry, settings.names)
        _opened = settings, codecs, open_verifier(settings.secrets_dir)
    _, codecs, verifier = _opened

    def watched(_topic: object, _partition: int, offsets: int) -> Progress:
        return watch(_label(part), offsets)

    with TopicLog(settings) as log:
        return verify_part(log, settings, codecs, verifier, part, filed, since, watched)
