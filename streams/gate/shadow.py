"""
The candidate: a policy that is asked beside the one in force, and heard by nobody.

Its verdicts go to metrics and to the field ``shadow`` of the decisions, nowhere else. Whatever goes
wrong with it is told and counted, and the gate goes on as if it were not there: it is loaded with
the live policy, but no mistake in it stops a start or a reload, and no error in it a decision.

It sees the facts as it would read them itself, with its own registers, confirmations and caps. What
people were sent is what the live policy let pass, and remembered for as long as that one needs: a
cap over a longer time counts no more than that.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from streams.errors import PolicyInvalid
from streams.gate.splicing import MOST_FACTS, VerdictBytes, outcome_of, shadow_bytes
from streams.policy.facts import NOTHING_SENT, Assessment, Campaigns, Content, assess_content
from streams.policy.policy import Policy, load_policy
from streams.policy.templates import Templates
from streams.policy.verdicts import Verdict
from streams.records.decisions import SHADOW_VERSION_DIGITS, Outcome, Shadow
from streams.records.subject import SubjectState
from streams.state.sends import sent_before
from streams.telemetry.catalogue import CandidateFailed, CandidateLoaded, CandidateRefused
from streams.telemetry.telemetry import Telemetry

UNREADABLE: Final = "the candidate's folder could not be read"


class Judged(NamedTuple):
    """A verdict of the candidate, and the same as a decision has it."""

    verdict: Verdict
    outcome: Outcome
    encoded: bytes


class Candidate:
    """One candidate policy at work. Used by the loop's thread only."""

    def __init__(self, policy: Policy, telemetry: Telemetry) -> None:
        self.policy = policy
        self._telemetry = telemetry
        self._version = policy.version[:SHADOW_VERSION_DIGITS]
        self._live: Policy | None = None
        self._reads_alike = False
        self._kept: dict[int, Judged] = {}
        self._in_batch: dict[int, tuple[VerdictBytes, Judged]] = {}

    def beside(self, live: Policy) -> None:
        """Stand beside this policy for a batch, whose requests are all decided at one time."""
        self._in_batch.clear()
        if live is not self._live:
            self._live = live
            self._reads_alike = self.policy.reads_like(live)

    def judge(
        self,
        given: VerdictBytes,
        assessment: Assessment,
        content: Content,
        valid_until: int | None,
        state: SubjectState | None,
        campaigns: Campaigns,
        recipient: str,
        body: str,
        parameters: Mapping[str, str],
        templates: Templates,
        known: bytes | None,
        request: int,
        kind: bytes,
    ) -> Judged | None:
        """
        Say what it would have decided; None where it failed, which is then told.

        ``given`` and ``assessment`` are the live policy's; the rest is what the latter was read
        from. Changes none of it and never raises.
        """
        try:
            now_ms = assessment.assessed_at
            if self._reads_alike:
                said = self._in_batch.get(id(given))
                if said is not None:
                    return said[1]
                facts = assessment.facts
            else:
                policy, sent = self.policy, NOTHING_SENT
                if known is not None:
                    erased_at = None if state is None else state.erased_at
                    sent = sent_before(known, request, kind, policy.caps, now_ms, erased_at)
                facts = assess_content(
                    content,
                    valid_until,
                    state,
                    campaigns,
                    now_ms,
                    recipient,
                    body,
                    policy.registers,
                    policy.confirming,
                    policy.lapses,
                    sent,
                    parameters,
                    templates,
                ).facts
            verdict = self.policy.verdict(facts, now_ms)
            # What is kept holds what it is kept by, so that the identity stays its own.
            judged = self._kept.get(id(verdict)) or self._judged(verdict)
            if self._reads_alike:
                self._in_batch[id(given)] = given, judged
            return judged
        except Exception as error:  # noqa: BLE001  # nothing of a candidate may reach the loop
            self._telemetry.emit(CandidateFailed(error))
            return None

    def _judged(self, verdict: Verdict) -> Judged:
        outcome, reasons = outcome_of(verdict)
        said = Shadow(self._version, outcome, tuple(reason.value for reason in reasons))
        if len(self._kept) >= MOST_FACTS:
            self._kept.clear()
        judged = self._kept[id(verdict)] = Judged(verdict, outcome, shadow_bytes(said))
        return judged


class CandidatePolicy:
    """Holds the candidate, if there is one that can be used. Used by the loop's thread only."""

    def __init__(self, directory: Path | None, telemetry: Telemetry) -> None:
        """Load the policy of ``directory``; null: there is none. Never raises."""
        self._directory = directory
        self._telemetry = telemetry
        self.current: Candidate | None = None
        self.reload()

    def reload(self) -> None:
        """Read the folder again. With a mistake in it there is no candidate; never raises."""
        if self._directory is None:
            return
        self.current = None
        try:
            policy = load_policy(self._directory)
        except PolicyInvalid as error:
            self._telemetry.emit(CandidateRefused(str(error)))
        except Exception as error:  # noqa: BLE001  # nothing of a candidate may reach the loop
            self._telemetry.emit(CandidateRefused(UNREADABLE))
            self._telemetry.emit(CandidateFailed(error))
        else:
            self.current = Candidate(policy, self._telemetry)
            self._telemetry.emit(CandidateLoaded(policy.version))
