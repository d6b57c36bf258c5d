"""
Transactions: the only file that begins, commits or aborts one.

One transaction carries all that a batch says: outputs, ledger, changelog, Position, and the offsets
of its requests. The protocol:

1. :meth:`Transactor.start` once: two producers, ``init_transactions`` of each. It fences every
   older producer of the same two ``transactional.id`` and completes or aborts what those left open.
2. :meth:`Transactor.run` for each batch: begin, produce all, send offsets *with the group metadata
   taken when the partitions were assigned*, commit. The broker refuses offsets of an older
   generation, so that a gate which lost its partitions commits nothing, outputs included.
3. If anything fails, the caller learns what is certain:

   * :class:`~streams.errors.Aborted`: the coordinator confirmed the abort. Nothing is visible; the
     batch may be tried again from memory.
   * :class:`~streams.errors.Indefinite`: the transaction may have been committed. The caller calls
     :meth:`Transactor.restart` and restores every partition from the topics before it goes on.
   * :class:`~streams.errors.Fenced`: another process has this identity. The gate stops.

Sources: librdkafka's ``examples/transactions.c`` and INTRODUCTION.md ("Transactional producer
API"): ``retriable()`` means call again, ``txn_requires_abort()`` means abort, anything else is
fatal to the producer. A commit that timed out is retriable and must be called again, not aborted.
librdkafka has no KIP-890: a producer whose transaction the coordinator timed out is fenced by its
own newer epoch, which is why fencing of the *producer* is Indefinite here and only fencing of the
group member (``group.instance.id``) is taken for a second process.

Why two producers, used by turns (ADR 0013): a commit is answered when it is certain, and only then
the coordinator writes the markers that make it visible. Until these are written it refuses the same
producer's next transaction (CONCURRENT_TRANSACTIONS), and librdkafka asks again after 20 ms. The
other producer need not wait. At any time at most one of the two has an open transaction, and at
most the other one a decided transaction whose markers are still to come.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from streams.errors import Aborted, ConsentGateError, Fenced, Indefinite, KafkaUnavailable
from streams.kafka.clients import opened
from streams.kafka.record_headers import Headers
from streams.state.log_reader import Fetched

HURRIED_SECONDS: Final = 2.0
"""How long a transaction may still take once the gate is asked to stop, which has five seconds."""

_SLICE_SECONDS: Final = 0.25

_NOW: Final = 0
"""As a record's timestamp: when it is produced, which is what leaving it out means."""

_ENDINGS: Final = ("-a", "-b")
"""What tells the ``transactional.id`` of the two producers apart. The first transaction after a
start is always the first one's: of two processes that start at once and win one id each, the one
without the first commits nothing."""


class Output(NamedTuple):
    """One record to be written, to a partition that is named and never computed."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None


class Transactor:
    """
    Owns the two transactional producers. Blocks while it commits; not thread-safe.

    ``steps`` is called with the name of each step before it is taken (``begin``, ``produce``,
    ``offsets``, ``commit``), for timing.
    """

    def __init__(self, config: Mapping[str, object], *, timeout_seconds: float) -> None:
        """
        ``config`` is a librdkafka producer configuration with a ``transactional.id``, of which the
        two producers' own are made by appending ``-a`` and ``-b``.

        ``timeout_seconds`` bounds how long one commit or abort is waited for. It should be below
        ``transaction.timeout.ms``: behind that the coordinator has aborted the transaction anyway.
        """
        stem = config["transactional.id"]
        self._configs = [{**config, "transactional.id": f"{stem}{ending}"} for ending in _ENDINGS]
        self._timeout: Final = timeout_seconds
        self._producers: list[Producer] = []
        """Both; empty while there are none to be used."""
        self._turn = 0
        """Which of them is used next."""
        self._open: Producer | None = None
        """The producer whose transaction has begun and has not ended for certain."""
        self._until = 0.0
        self._hurried_until = math.inf

    def hurry(self) -> None:
        """
        End what is under way within :data:`HURRIED_SECONDS`: the gate stops. Safe in a handler.

        What is not committed or aborted by then is left to the coordinator's time-out.
        """
        self._hurried_until = time.monotonic() + HURRIED_SECONDS

    def _left(self) -> float:
        return min(self._until, self._hurried_until) - time.monotonic()

    def start(self) -> None:
        """
        Make both producers and initialise their transactions; blocks up to the time-out.

        When it returns, nothing of an earlier process of this identity can be committed any more.
        Raises :class:`KafkaUnavailable` when a coordinator does not answer; then call again.
        """
        deadline = time.monotonic() + self._timeout
        producers = [opened(Producer, config) for config in self._configs]
        for producer in producers:
            self._initialise(producer, deadline)
        self._producers, self._turn, self._open = producers, 0, None

    def _initialise(self, producer: Producer, deadline: float) -> None:
        while True:
            try:
                producer.init_transactions(max(0.1, deadline - time.monotonic()))
                return
            except KafkaException as error:
                cause = error.args[0]
                if cause.retriable() and time.monotonic() < deadline:
                    continue
                raise KafkaUnavailable(
                    f"The transaction coordinator did not accept this gate: {cause.name()}."
                ) from error

    def restart(self) -> None:
        """Replace both producers after an indefinite or fatal error: see :meth:`start`."""
        self._producers, self._open = [], None
        self.start()

    def run(
        self,
        outputs: Iterable[Output],
        offsets: list[TopicPartition],
        group: object,
        *,
        on_delivery: Mapping[int, Callable[[int], None]] | None = None,
        before: Callable[[str], None] = lambda step: None,
    ) -> None:
        """
        Write all of ``outputs`` and commit ``offsets`` for ``group``, or nothing of it.

        ``group`` is the consumer's group metadata of the generation in which the batch was taken.
        ``on_delivery`` maps the index of an output to a function that is called with the offset it
        was given, before this method returns; the offset means nothing unless it returns.
        """
        if not self._producers:
            raise Indefinite("The transactional producers are not initialised.")
        producer = self._producers[self._turn]
        self._turn = 1 - self._turn
        committing = False
        self._until = time.monotonic() + self._timeout
        try:
            before("begin")
            producer.begin_transaction()
            self._open = producer
            before("produce")
            self._produce(producer, outputs, on_delivery or {})
            before("offsets")
            self._send_offsets(producer, offsets, group)
            before("commit")
            committing = True
            self._retried(producer.commit_transaction)
            self._open = None
        except KafkaException as error:
            raise self._ended(producer, error.args[0], committing) from error

    def _produce(
        self,
        producer: Producer,
        outputs: Iterable[Output],
        on_delivery: Mapping[int, Callable[[int], None]],
    ) -> None:
        produce = producer.produce
        for index, output in enumerate(outputs):
            topic, partition, key, value, headers = output
            report = on_delivery.get(index)
            delivered = None if report is None else _reporting(report)
            while True:
                try:
                    # librdkafka takes no None for headers. Named, they cost a third more.
                    if headers is None:
                        produce(topic, value, key, partition, delivered)
                    else:
                        produce(topic, value, key, partition, delivered, None, _NOW, headers)
                    break
                except BufferError:
                    if self._left() <= 0:
                        raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from None
                    producer.poll(0.05)
        producer.poll(0)

    def _send_offsets(self, producer: Producer, offsets: list[TopicPartition], group: Any) -> None:
        """
        Send offsets until it succeeds, fails for good, or the time is up (Indefinite).

        In a thread of its own, since librdkafka (2.16) does not heed the time-out: it waits for the
        group's coordinator until some connection changes its state, for ever where that broker is
        gone (its issues 5456 and 5511; ten seconds were seen). Nor can a call be resumed: in slices
        a broker that needs longer than one would never be done. A call that is given up goes on in
        its thread until librdkafka lets it go, with a producer that the next ones have fenced.
        """
        while True:
            call = _Aside(
                partial(
                    producer.send_offsets_to_transaction, offsets, group, max(0.05, self._left())
                )
            )
            while not call.ended(min(max(0.0, self._left()), _SLICE_SECONDS)):
                if self._left() <= 0:
                    raise Indefinite(
                        "The transaction's fate is unknown: the group coordinator is silent."
                    )
            try:
                call.result()
                return
            except KafkaException as error:
                if not self._may_try_again(error.args[0]):
                    raise

    def _retried(self, call: Callable[[float], object]) -> None:
        """
        Call until it succeeds, fails for good, or the time is up (Indefinite).

        In short slices, which librdkafka lets one resume, so that a stop is not waited out.
        """
        while True:
            try:
                call(min(max(0.05, self._left()), _SLICE_SECONDS))
                return
            except KafkaException as error:
                if not self._may_try_again(error.args[0]):
                    raise

    def _may_try_again(self, error: KafkaError) -> bool:
        return error.retriable() and not error.txn_requires_abort() and self._left() > 0

    def _ended(self, producer: Producer, cause: KafkaError, committing: bool) -> ConsentGateError:
        """Take the transaction back if that can be certain, and say what is known."""
        if cause.code() == KafkaError.FENCED_INSTANCE_ID:
            return Fenced(
                "Another gate runs with this instance_id. Give each gate an instance_id of its own."
            )
        # Before the commit was asked for nothing can have been committed.
        certain = cause.txn_requires_abort() or not committing
        if cause.fatal() or not certain:
            return Indefinite(f"The transaction's fate is unknown: {cause.name()}.")
        self._until = time.monotonic() + self._timeout
        try:
            self._retried(producer.abort_transaction)
        except KafkaException as error:
            return Indefinite(
                f"The transaction failed ({cause.name()}) and its abort was not confirmed "
                f"({error.args[0].name()})."
            )
        self._open = None
        return Aborted(f"The transaction was aborted: {cause.name()}.")

    def close(self) -> None:
        """Abort what is open, best effort within a second: a successor need not wait for it."""
        if self._open is not None:
            try:
                self._open.abort_transaction(1.0)
            except KafkaException:
                pass  # the coordinator's time-out does it
        self._producers, self._open = [], None


class _Aside:
    """A call that blocks for nobody knows how long, in a thread that no exit waits for."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._ended = threading.Event()
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name="transaction-offsets", daemon=True).start()

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as error:  # noqa: BLE001  # raised again where it is waited for
            self._error = error
        self._ended.set()

    def ended(self, within_seconds: float) -> bool:
        """Wait for its end, at most for so long; say whether it has come."""
        return self._ended.wait(within_seconds)

    def result(self) -> None:
        """Raise what the call raised, if it did. To be called once it has ended."""
        if self._error is not None:
            raise self._error


def _reporting(
    report: Callable[[int], None],
) -> Callable[[KafkaError | None, Fetched], None]:
    def delivered(error: KafkaError | None, message: Fetched) -> None:
        offset = message.offset()
        if error is None and offset is not None:
            report(offset)

    return delivered
