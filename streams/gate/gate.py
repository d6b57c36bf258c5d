"""
The gate: the loop that takes, joins, decides and commits.

::

    forever:
      1 take a batch of requests          intake.py
      2 read the barrier                  barrier.py: after the batch was taken, never before
      3 fold state exactly up to it       folding.py, broadcast.py; what is late goes back;
                                          on a tick, forget what has run out
      4 decide each request               deciding.py
      5 one Kafka transaction             transaction.py
      6 after the commit                  overlay -> store; metrics, once

Which partitions there are, and whether they may be decided, is assignment.py's. Everything here
runs in one thread; :meth:`Gate.stop` and :meth:`Gate.reload` only set flags and may be called from
signal handlers.

For how long this thread may wait for somebody else, each time:

* requests: :data:`IDLE_WAIT_SECONDS`, and ``batch_linger_ms`` behind a full chunk;
* the barrier: a second, or ``barrier_timeout_ms`` if that is more, and
  :data:`~streams.gate.barrier.LATE_SECONDS`; then what is left of ``barrier_timeout_ms`` for the
  state; a second where a topic is read for the first time;
* an unknown schema: :data:`~streams.codec.registry.ANSWER_SECONDS`;
* what is re-sent, or a policy archived: :data:`~streams.gate.assembly.RESEND_TIMEOUT_SECONDS`, and
  one to give up;
* a transaction: half of ``transaction_timeout_ms``; its abort the same; and the same for each try
  to replace the producers;
* librdkafka's own threads, where its calls know no time-out (assign, seek, pause, resume, begin a
  transaction, let go of a producer): these ask no broker. A tenth of a second was the most that was
  seen while brokers died and hung on a busy machine.

So a turn ends within half a minute with the default settings, and a wait that has ended is a stall
of its partition, never "reached". Should one not end, ``/livez`` says so.
"""

from __future__ import annotations

import time
from typing import Final

from streams.codec.codec import Codecs
from streams.errors import (
    Aborted,
    Indefinite,
    KafkaUnavailable,
    KeyMissing,
    PartitionLost,
    RegistryUnavailable,
    StoreFull,
)
from streams.gate.assignment import Assignment
from streams.gate.barrier import Barrier, Targets
from streams.gate.batch_bound import BatchBound
from streams.gate.broadcast import Broadcast
from streams.gate.collecting import collected_later
from streams.gate.commit import Commit
from streams.gate.deciding import Deciding
from streams.gate.folding import Folding
from streams.gate.ground import Ground
from streams.gate.holding import Holding
from streams.gate.intake import Intake, Taken
from streams.gate.live_policy import LivePolicy
from streams.gate.owned import Owned, Phase
from streams.gate.request_lag import RequestLag
from streams.gate.resend import Resender
from streams.gate.shadow import CandidatePolicy
from streams.gate.timing import Timing
from streams.gate.topics import GateTopics
from streams.gate.transaction import Transactor
from streams.gate.work import Chain, Work
from streams.sealing.signatures import Signer
from streams.state.forgetting import Forgetting
from streams.state.log_reader import At, LogReader
from streams.state.running_out import RunningOut
from streams.state.sends import Sends
from streams.state.store import Store
from streams.state.subjects import Subjects
from streams.telemetry.catalogue import (
    BarrierReached,
    ErrorMet,
    PartitionForgotten,
    StateLag,
    StoreWritten,
    TransactionEnded,
)
from streams.telemetry.health import Health
from streams.telemetry.labels import Condition, StallCause, Step, TransactionResult
from streams.telemetry.telemetry import Telemetry
from streams.topology import CONSENT_EVENTS, CONTACTS_ENTRIES

IDLE_WAIT_SECONDS: Final = 0.1
"""How long the loop waits for a first request. Bounds how late a signal or a rebalance is seen."""

BUSY_WAIT_SECONDS: Final = 0.005
"""The same while some partition is being restored or waits for its state."""

RESEND_AGAIN_SECONDS: Final = 5.0
"""Pause before a partition whose misplaced records could not be re-sent is tried again."""

BACKOFF_SECONDS: Final = (0.1, 2.0)
"""Pause after a transaction that was aborted: the first, and the longest."""


class Gate:
    """One gate. Put together in :mod:`streams.gate.assembly`."""

    def __init__(
        self,
        *,
        topics: GateTopics,
        assignment: Assignment,
        intake: Intake,
        bound: BatchBound,
        barrier: Barrier,
        reader: LogReader,
        broadcast: Broadcast,
        folding: Folding,
        deciding: Deciding,
        transactor: Transactor,
        resender: Resender,
        policy: LivePolicy,
        candidate: CandidatePolicy,
        store: Store,
        subjects: Subjects,
        sends: Sends,
        holding: Holding,
        codecs: Codecs,
        signer: Signer,
        telemetry: Telemetry,
        health: Health,
        barrier_timeout_seconds: float,
        tick_seconds: float,
    ) -> None:
        self._topics = topics
        self._assignment = assignment
        self._intake = intake
        self._bound = bound
        self._barrier = barrier
        self._reader = reader
        self._broadcast = broadcast
        self._folding = folding
        self._deciding = deciding
        self._transactor = transactor
        self._resender = resender
        self._policy = policy
        self._candidate = candidate
        self._store = store
        self._forgetting = Forgetting(store)
        self._running_out = RunningOut(subjects)
        self._request_lag = RequestLag(barrier, topics.requests, telemetry)
        self._subjects = subjects
        self._sends = sends
        self._holding = holding
        self._codecs = codecs
        self._signer = signer
        self._telemetry = telemetry
        self._health = health
        self._barrier_timeout = barrier_timeout_seconds
        self._tick = tick_seconds
        self._next_tick = 0.0
        self._ticking = False
        self._backoff = 0.0
        self._commit_seconds = 0.0
        self._most_folded = bound.folded
        self._stopping = False
        self._reloading = False

    def stop(self) -> None:
        """Ask the loop to end after the batch it is at. Safe in a signal handler."""
        self._stopping = True
        self._transactor.hurry()

    def reload(self) -> None:
        """Ask the loop to load the policy again before its next batch. Safe in a signal handler."""
        self._reloading = True

    def run(self) -> None:
        """
        Join the group and work until :meth:`stop`.

        Returns when asked to stop, with everything committed or aborted. Raises
        :class:`streams.errors.Stop` when a person must act.
        """
        self._assignment.subscribe()
        while not self._stopping:
            with collected_later():
                self.turn()

    def turn(self) -> None:
        """Go round once: at most one batch."""
        self._health.beat()
        if self._reloading:
            self._reloading = False
            before = self._policy.current
            self._policy.reload()
            if self._policy.current is not before:
                self._holding.policy_changed()
            self._candidate.reload()
            if not self._sends.reach(self._policy.current.caps.horizon_ms):
                self._assignment.restore_all()  # what is remembered does not go back far enough
        self._assignment.advance()
        self._tell_readiness()
        waiting = any(owned.phase is not Phase.LIVE for owned in self._assignment.all())
        if waiting:
            # Stalled partitions wait for what the reader has not fetched yet, however busy the
            # others are.
            self._reader.fetch(0)
        timing = Timing(self._telemetry)
        taken = self._intake.take(
            BUSY_WAIT_SECONDS if waiting else IDLE_WAIT_SECONDS,
            self._commit_seconds,
            self._bound.records,
        )
        timing.done(Step.TAKE, since=taken.first_at)
        works = self._works(taken)
        if works:
            self._batch(taken, works, timing)
        self._request_lag.tell(self._assignment.all(), int(time.time() * 1000))

    # ------------------------------------------------------------------------------------- batches

    def _works(self, taken: Taken) -> list[Work]:
        """Return the partitions of this batch: those with requests, and all LIVE ones on a tick."""
        ticking = self._ticking = time.monotonic() >= self._next_tick
        if ticking:
            self._next_tick = time.monotonic() + self._tick
            self._tell_lag()
            self._tell_holds()
            self._request_lag.ask(self._assignment.all())
            self._forget()
        works, now_ms = [], int(time.time() * 1000)
        for owned in self._assignment.live():
            requests = taken.requests.get(owned.partition, [])
            if requests or ticking or self._holding.is_due(owned.partition, now_ms):
                works.append(self._work(owned, requests))
        return works

    def _forget(self) -> None:
        owned = {each.partition for each in self._assignment.all()}
        try:
            gone = self._forgetting.step(owned, int(time.time() * 1000))
        except StoreFull as error:
            self._telemetry.emit(ErrorMet(error))
            return
        if gone is not None:
            self._telemetry.emit(PartitionForgotten(gone))

    def _work(self, owned: Owned, requests: list) -> Work:  # type: ignore[type-arg]
        position, partition = owned.position, owned.partition
        return Work(
            owned=owned,
            requests=requests,
            decisions=Chain(
                self._codecs.decisions.frame,
                self._topics.decisions,
                partition,
                position.decision_sequence,
                position.decision_hash,
            ),
            ledger=Chain(
                self._codecs.ledger.frame,
                self._topics.ledger,
                partition,
                position.ledger_sequence,
                position.ledger_hash,
            ),
            consent_offset=position.consent_offset,
            contacts_offset=position.contacts_offset,
            consent_append_at=position.consent_append_at,
            contacts_append_at=position.contacts_append_at,
            send_checkpoint=position.send_checkpoint,
        )

    def _batch(self, taken: Taken, works: list[Work], timing: Timing) -> None:
        reached = self._reach(works, timing)
        if not reached:
            return
        now_ms = int(time.time() * 1000)
        self._most_folded = max(self._bound.folded // len(reached), 1)
        for fill, step in ((self._fold, Step.FOLD), (self._decide, Step.DECIDE)):
            reached = [work for work in reached if self._filled(fill, work, now_ms)]
            timing.done(step)
        behind = [work.partition for work in reached if work.catching_up]
        if behind:
            self._next_tick = 0.0
            self._assignment.rewind(behind)
        moved = [work for work in reached if work.moved]
        if moved:
            self._commit(taken, moved, now_ms, timing)

    # Step 2 and 3: the barrier

    def _reach(self, works: list[Work], timing: Timing) -> list[Work]:
        """
        Read the barrier and fetch up to it; return the works that may be folded.

        Those whose state, or whose broadcast tables, are late are stalled: nothing of them is
        folded, and their requests are taken again once it is there.
        """
        began = time.monotonic()
        broadcast = self._topics.broadcast
        states = [at for work in works for at in self._topics.state_of(work.partition)]
        targets = self._barrier.read([*states, *broadcast])
        self._distrust(works, targets)
        deadline = began + self._barrier_timeout
        while not all(self._foldable(at, to) for at, to in targets.offsets.items()):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self._reader.fetch(min(left, 0.05))
        timing.done(Step.BARRIER)
        ready = []
        for work in works:
            mine = [*self._topics.state_of(work.partition), *broadcast]
            late: dict[At, int | None] = {
                at: targets.offsets.get(at)
                for at in mine
                if at in targets.unreachable or not self._foldable(at, targets.offsets[at])
            }
            if not late:
                work.targets = targets.offsets
                ready.append(work)
                continue
            unreachable = any(offset is None for offset in late.values())
            cause = StallCause.STATE_UNREACHABLE if unreachable else StallCause.STATE_NOT_REACHED
            self._assignment.stall(work.owned, cause, late)
        if not ready:
            return []
        try:
            self._broadcast.fold(targets.offsets)
        except RegistryUnavailable as error:
            for work in ready:
                self._assignment.stall(work.owned, StallCause.REGISTRY_UNAVAILABLE, {})
            self._telemetry.emit(ErrorMet(error))
            return []
        self._holding.campaigns_folded(self._broadcast.campaigns)
        self._telemetry.emit(BarrierReached(time.monotonic() - began, len(ready)))
        return ready

    def _foldable(self, at: At, target: int) -> bool:
        """Whether the target is reached, or so much waits below it that a turn is full without."""
        return self._reader.reached(at, target) or (
            at not in self._topics.broadcast and self._reader.waiting(at) >= self._bound.folded
        )

    def _distrust(self, works: list[Work], targets: Targets) -> None:
        """A target below what was folded already is a fault (a truncated log), never reached."""
        folded = {
            at: offset
            for work in works
            for at, offset in (
                (At(self._topics.consent, work.partition), work.consent_offset),
                (At(self._topics.contacts, work.partition), work.contacts_offset),
            )
        }
        folded |= self._broadcast.folded()
        for at, offset in folded.items():
            if targets.offsets.get(at, offset) < offset:
                del targets.offsets[at]
                targets.unreachable.add(at)

    # Step 3 and 4: fold, decide

    def _fold(self, work: Work, now_ms: int) -> None:
        self._folding.fold(work, self._most_folded, now_ms)
        if self._ticking:
            work.ran_out = self._running_out.step(work.partition, now_ms)

    def _decide(self, work: Work, now_ms: int) -> None:
        policy, candidate = self._policy.current, self._candidate.current
        ground = Ground(policy, self._broadcast.offsets, now_ms, candidate)
        self._deciding.decide(work, ground)

    def _filled(self, fill, work: Work, now_ms: int) -> bool:  # type: ignore[no-untyped-def]
        try:
            fill(work, now_ms)
        except RegistryUnavailable as error:
            self._undo(work)
            self._assignment.stall(work.owned, StallCause.REGISTRY_UNAVAILABLE, {})
            self._telemetry.emit(ErrorMet(error))
            return False
        except KeyMissing as error:
            self._undo(work)
            self._assignment.lock(work.owned, error)
            return False
        except PartitionLost as error:
            self._undo(work)
            self._assignment.hold(work.owned, StallCause.STATE_UNREADABLE, error)
            return False
        return True

    def _resent(self, work: Work) -> bool:
        """Re-send what is misplaced in this work; if that fails, only this partition waits."""
        try:
            self._resender.send(work.resends)
        except KafkaUnavailable as error:
            self._undo(work)
            self._assignment.stall(
                work.owned, StallCause.STATE_UNREACHABLE, {}, RESEND_AGAIN_SECONDS
            )
            self._telemetry.emit(ErrorMet(error))
            return False
        return True

    def _undo(self, work: Work) -> None:
        """Take a work back, both sides: the state that was folded, and its overlay."""
        for at, messages in work.folded.items():
            self._reader.put_back(at, messages)
        self._subjects.discard(work.partition)
        if work.noted is not None:
            work.noted.undo()
        self._holding.put_back(work)

    # Step 5 and 6: commit

    def _commit(self, taken: Taken, works: list[Work], now_ms: int, timing: Timing) -> None:
        began = time.monotonic()
        works = [work for work in works if self._resent(work)]
        if not works:
            return
        try:
            commit = Commit(
                works,
                topics=self._topics,
                codecs=self._codecs,
                subjects=self._subjects,
                store=self._store,
                signer=self._signer,
                now_ms=now_ms,
            )
            self._transactor.run(
                commit.outputs,
                commit.offsets,
                taken.group,
                on_delivery=commit.on_delivery,
                before=timing.before_transaction_step,
            )
        except Aborted as error:
            self._bound.failed(taken.count)
            self._taken_back(works, error, time.monotonic() - began)
            return
        except Indefinite as error:
            self._telemetry.emit(
                TransactionEnded(TransactionResult.REBUILT, time.monotonic() - began)
            )
            self._telemetry.emit(ErrorMet(error))
            self._bound.failed(taken.count)
            self._start_over()
            return
        timing.done(Step.COMMIT)
        self._backoff = 0.0
        seconds = time.monotonic() - began
        self._commit_seconds += (seconds - self._commit_seconds) / 4
        self._bound.committed(taken.count, seconds)
        self._telemetry.emit(TransactionEnded(TransactionResult.COMMITTED, seconds))
        try:
            self._committed(commit, works, now_ms)
        except Indefinite as error:
            self._telemetry.emit(ErrorMet(error))
            self._start_over()
            return
        timing.done(Step.STORE)
        timing.tell(taken, works)

    def _taken_back(self, works: list[Work], error: Exception, seconds: float) -> None:
        for work in works:
            self._undo(work)
        self._assignment.rewind(work.partition for work in works)
        self._telemetry.emit(TransactionEnded(TransactionResult.ABORTED, seconds))
        self._telemetry.emit(ErrorMet(error))
        first, longest = BACKOFF_SECONDS
        self._backoff = min(max(first, 2 * self._backoff), longest)
        self._pause(self._backoff)

    def _start_over(self) -> None:
        """After an indefinite end: a new producer, and every partition restored from the topics."""
        self._health.set(
            Condition.PRODUCER_INITIALISED, False, "the transactional producer is replaced"
        )
        self._assignment.restore_all()
        while not self._stopping:
            self._health.beat()
            # No partition is LIVE: nothing comes, but rebalances are answered meanwhile.
            self._intake.take(0, 0, 1)
            try:
                self._transactor.restart()
            except KafkaUnavailable as error:
                self._telemetry.emit(ErrorMet(error))
                self._pause(0.5)
                continue
            self._health.set(Condition.PRODUCER_INITIALISED, True)
            return

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < until:
            time.sleep(0.02)

    def _committed(self, commit: Commit, works: list[Work], now_ms: int) -> None:
        try:
            self._subjects.committed(commit.reached(now_ms), commit.encoded)
            for work in works:
                self._holding.committed(work, now_ms)
        except StoreFull as error:
            for work in works:
                self._assignment.hold(work.owned, StallCause.STORE_FULL, error)
            return
        for work in works:
            work.owned.position = commit.positions[work.partition]
            if work.requests:
                work.owned.decided_at = work.requests[-1].timestamp()[1]
        self._telemetry.emit(
            StoreWritten(sum(len(encoded.states) for encoded in commit.encoded.values()))
        )

    # ----------------------------------------------------------------------------------- telling

    def _tell_readiness(self) -> None:
        owned = self._assignment.all()
        if owned:
            self._health.set(Condition.ASSIGNED, True)
        else:
            self._health.set(Condition.ASSIGNED, False, "no partitions are assigned to this gate")
        coming = [o.partition for o in owned if o.phase is Phase.RESTORING]
        if not owned or coming:
            which = ", ".join(map(str, coming)) or "none assigned"
            self._health.set(Condition.RESTORED, False, f"partitions being restored: {which}")
        else:
            self._health.set(Condition.RESTORED, True)

    def _tell_holds(self) -> None:
        now_ms = int(time.time() * 1000)
        for owned in self._assignment.all():
            if owned.phase in (Phase.LIVE, Phase.STALLED):
                self._telemetry.emit(self._holding.waiting(owned.partition, now_ms))

    def _tell_lag(self) -> None:
        for owned in self._assignment.all():
            for topic, at in zip(
                (CONSENT_EVENTS, CONTACTS_ENTRIES),
                self._topics.state_of(owned.partition),
                strict=True,
            ):
                target = owned.waits_for.get(at)
                behind = 0
                if owned.phase is Phase.STALLED and target is not None:
                    behind = max(0, target - self._reader.next_fetch(at))
                seconds = time.monotonic() - owned.stalled_at if owned.stalled_at else 0.0
                late = at in owned.waits_for
                self._telemetry.emit(
                    StateLag(owned.partition, topic, behind, seconds if late else 0.0)
                )
