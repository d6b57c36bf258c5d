"""
Verification in several processes, a chain each: most of it is decoding, which one process does
alone.

Chains of different partitions have nothing to do with each other, so each part is verified by
:func:`streams.audit.verify_topics.verify_part`, as in one process.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from streams.audit.heads import Head
from streams.audit.topic_log import TopicLog
from streams.audit.verify import PartitionReport
from streams.audit.verify_topics import Part, Watch, parts_of, verify_part
from streams.codec.codec import Codecs, open_codecs
from streams.config import Settings
from streams.sealing.keyring import open_verifier
from streams.sealing.signatures import Verifier
from streams.topology import BY_NAME

WORTH_A_PROCESS: Final = 50_000
"""Records that take as long as starting a process does, seconds: with fewer one is quicker."""

_TOLD_EVERY: Final = 20_000
_LOOKED_EVERY_SECONDS: Final = 0.2


def processes_for(settings: Settings, only_partition: int | None) -> int:
    """Say how many processes are worth while here: one for so many records, at most a core each."""
    with TopicLog(settings) as log:
        sizes = [
            extent.end - extent.start
            for part in parts_of(log, only_partition)
            for extent in (log.extent(part.topic, part.partition),)
        ]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, len(sizes), sum(sizes) // WORTH_A_PROCESS))


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
    # Forked, librdkafka's and gRPC's threads would be missing from the child.
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[_Told] = context.Queue()
    with TopicLog(settings) as log:
        parts = parts_of(log, only_partition)
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(settings, told))
    try:
        begun = [pool.submit(_verify, part, tuple(filed), since) for part in parts]
        _tell(begun, told, watch)
        reports = [each.result() for each in begun]
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        # What they still read would be of use to nobody, and may take hours.
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise
    pool.shutdown()
    return reports


@dataclass(frozen=True, slots=True)
class _Told:
    """How far a process got: so many offsets more of a part, which has ``total``."""

    topic: str
    partition: int
    total: int
    done: int


def _tell(begun: list[Future[PartitionReport]], told: Any, watch: Watch) -> None:
    """Pass on how far the processes are, until all have ended; raise what one of them raised."""
    bars: dict[tuple[str, int], Any] = {}
    while True:
        ended = all(each.done() for each in begun)
        try:
            news = told.get(timeout=0 if ended else _LOOKED_EVERY_SECONDS)
        except queue.Empty:
            if ended:
                return
            for each in begun:
                if each.done():
                    each.result()
            continue
        part = (news.topic, news.partition)
        if part not in bars:
            bars[part] = watch(BY_NAME[news.topic], news.partition, news.total)
        if news.done:
            bars[part](news.done)


# ------------------------------------------------------------------------- within such a process


@dataclass(slots=True)
class _Own:
    """What a process has for itself."""

    settings: Settings
    told: Any
    opened: tuple[Codecs, Verifier] | None = None

    def tools(self) -> tuple[Codecs, Verifier]:
        """Open schemas and keys, once; not at the process's start, where no error can be told."""
        if self.opened is None:
            settings = self.settings
            codecs = open_codecs(
                settings.schema_registry_url, settings.schema_registry, settings.names
            )
            self.opened = codecs, open_verifier(settings.secrets_dir)
        return self.opened


_own: _Own


def _begin(settings: Settings, told: Any) -> None:
    # Ctrl-C reaches every process of a terminal: the first one says what there is to say.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    global _own
    _own = _Own(settings, told)


def _verify(part: Part, filed: tuple[Head, ...], since: int | None) -> PartitionReport:
    topic, partition = part
    own = _own
    codecs, verifier = own.tools()

    def watch(_topic: object, _partition: int, offsets: int) -> Any:
        own.told.put(_Told(topic.name, partition, offsets, 0))
        left = 0

        def progress(done: int) -> None:
            nonlocal left
            left += done
            if left >= _TOLD_EVERY:
                own.told.put(_Told(topic.name, partition, offsets, left))
                left = 0

        return progress

    with TopicLog(own.settings) as log:
        return verify_part(log, own.settings, codecs, verifier, part, filed, since, watch)
