"""What an entry of an address book makes of the state of the person whose number it is. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from streams.records.drafts import replacing
from streams.records.events import ContactEntry, ContactKind
from streams.records.subject import SubjectState, UploadTaken, UploadTrace
from streams.topology import DAY_MS

MOST_UPLOADS: Final = 64
"""Traces of uploads that a subject keeps. More are merged into one that taints as much as they."""

_changed: Final = replacing(SubjectState)


def fold_contact(
    state: SubjectState, entry: ContactEntry, *, appended_at: int, kept_days: int
) -> SubjectState:
    """
    Apply one address-book entry, appended at ``appended_at`` (monotone).

    Its trace is kept until ``expires_at``, else ``kept_days`` after the upload. Idempotent; an
    entry of an upload that was taken back adds nothing, whichever of the two comes first: that is
    remembered until the entry, coming again, would have run out by itself. Where nothing changes
    the very same state is returned.
    """
    until = entry.expires_at
    if until is None:
        until = min(entry.uploaded_at, appended_at) + kept_days * DAY_MS
    uploads = tuple(trace for trace in state.uploads if trace.expires_at > appended_at)
    taken = tuple(each for each in state.uploads_taken if each.until > appended_at)
    match entry.kind:
        case ContactKind.WITHDRAWN:
            uploads = tuple(trace for trace in uploads if trace.upload_id != entry.upload_id)
            if entry.expires_at is None:
                # The upload came before its withdrawal, so that its entries end before this.
                until = max(until, appended_at + kept_days * DAY_MS)
            same = [each.until for each in taken if each.upload_id == entry.upload_id]
            until = max([until, *same])
            if until > appended_at:
                rest = tuple(each for each in taken if each.upload_id != entry.upload_id)
                taken = (*rest, UploadTaken(entry.upload_id, until))[-MOST_UPLOADS:]
        case ContactKind.ADDED:
            stale = (
                until <= appended_at
                or any(each.upload_id == entry.upload_id for each in taken)
                or (state.erased_at is not None and entry.uploaded_at <= state.erased_at)
            )
            if not stale:
                trace = UploadTrace(
                    upload_id=entry.upload_id,
                    uploader_id=entry.uploader_id,
                    mandatory=entry.mandatory,
                    undisclosed=entry.undisclosed,
                    uploaded_at=entry.uploaded_at,
                    expires_at=until,
                )
                uploads = _with_upload(uploads, trace)
    if uploads == state.uploads and taken == state.uploads_taken:
        return state
    return _changed(state, uploads=uploads, uploads_taken=taken)


def without_what_ran_out(state: SubjectState, now_ms: int) -> SubjectState | None:
    """
    Forget the traces of uploads that have run out; None where nothing else is known of the number.

    The very same state where none has.
    """
    uploads = tuple(trace for trace in state.uploads if trace.expires_at > now_ms)
    taken = tuple(each for each in state.uploads_taken if each.until > now_ms)
    if uploads == state.uploads and taken == state.uploads_taken:
        return state
    left = _changed(state, uploads=uploads, uploads_taken=taken)
    return None if left == SubjectState(state.subject_id) else left


_MERGED = ""


def _with_upload(uploads: tuple[UploadTrace, ...], new: UploadTrace) -> tuple[UploadTrace, ...]:
    kept = {trace.upload_id: trace for trace in uploads}
    kept[new.upload_id] = _merged(kept[new.upload_id], new) if new.upload_id in kept else new
    while len(kept) > MOST_UPLOADS:
        first = min(
            (trace for trace in kept.values() if trace.upload_id != _MERGED),
            key=lambda trace: (trace.expires_at, trace.upload_id),
        )
        del kept[first.upload_id]
        merged = replace(first, upload_id=_MERGED, uploader_id=b"")
        kept[_MERGED] = _merged(kept[_MERGED], merged) if _MERGED in kept else merged
    return tuple(kept.values())


def _merged(one: UploadTrace, other: UploadTrace) -> UploadTrace:
    """Join two traces into one that taints for as much and as long as either did."""
    return replace(
        one,
        mandatory=one.mandatory or other.mandatory,
        undisclosed=one.undisclosed or other.undisclosed,
        uploaded_at=max(one.uploaded_at, other.uploaded_at),
        expires_at=max(one.expires_at, other.expires_at),
    )
