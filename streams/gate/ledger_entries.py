"""Ledger entries: each consent event as it was folded or refused, in its partition's chain."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Final

from streams.codec.codec import Codecs
from streams.gate.routes import Stood
from streams.gate.sealers import Sealers
from streams.gate.work import Work
from streams.records.decisions import LedgerRecord, Refusal
from streams.records.drafts import making
from streams.records.events import ConsentEvent, ConsentKind
from streams.topology import CONSENT_EVENTS

_ledger_record: Final = making(LedgerRecord)


class LedgerEntries:
    """For the loop's thread. Writes into the work, and a new data key into the overlay."""

    def __init__(self, codecs: Codecs, sealers: Sealers) -> None:
        self._encode_body = codecs.ledger.encode_body
        self._sealers = sealers

    def add(
        self,
        work: Work,
        event: ConsentEvent,
        subject_id: bytes,
        stood: Stood,
        appended_at: int,
        refusal: Refusal | None,
        now_ms: int,
    ) -> None:
        """Write the event into the ledger, its evidence sealed under the subject's key."""
        ledger_id = f"{CONSENT_EVENTS.name}-{stood.partition}-{stood.offset}"
        sealed, key_id = None, None
        # An erasure shreds the subject's key: sealing its own evidence would make a new one.
        if event.evidence is not None and event.kind is not ConsentKind.ERASURE_REQUESTED:
            sealer = self._sealers.of(stood.partition, subject_id, now_ms)
            evidence = json.dumps(asdict(event.evidence)).encode()
            sealed, key_id = sealer.seal(evidence, ledger_id.encode()), sealer.key_id
        work.ledger.add(
            self._encode_body(
                _ledger_record(
                    ledger_id=ledger_id,
                    subject_id=subject_id,
                    partition=stood.partition,
                    offset=stood.offset,
                    event_id=event.event_id,
                    kind=event.kind,
                    purpose=event.purpose,
                    basis=event.basis,
                    conditional=event.conditional,
                    sender_id=event.scope.sender_id,
                    campaign_id=event.scope.campaign_id,
                    source=event.source,
                    origin=event.origin,
                    occurred_at=event.occurred_at,
                    appended_at=appended_at,
                    effective_at=event.effective_at,
                    expires_at=event.expires_at,
                    time_zone=event.time_zone,
                    region=event.region,
                    refusal=refusal,
                    evidence=sealed,
                    key_id=key_id,
                    sequence=work.ledger.sequence,
                    recorded_at=now_ms,
                    previous=work.ledger.hash,
                    signature=None,
                )
            ),
            subject_id,
        )
