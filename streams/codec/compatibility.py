"""Whether the current schemas still read what replaced ones wrote: a check for the test run."""

from __future__ import annotations

from pathlib import Path

import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from streams.codec import schemas
from streams.codec.codec import RECORDS
from streams.codec.resolution import objection


def incompatible_changes(history: Path | None = None) -> list[str]:
    """
    Name every change by which a current schema can no longer read a replaced version's records.

    Empty: there is none. ``history`` is the shipped ``schemas/history`` unless given. Raises
    :class:`SchemaError` when a schema cannot be read at all.
    """
    found = []
    for record in RECORDS:
        now = schemas.current(record)
        for before in schemas.history(record, history):
            where = f"{record.__name__} of {before.fingerprint.hex()}"
            against = objection(before, now)
            if against is not None:
                found.append(f"{where}: the old schema {against}")
            found += [f"{where}: {each}" for each in _avro_objections(before.text, now.text)]
    return found


def _avro_objections(before: str, now: str) -> list[str]:
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    result = checker.get_compatibility(
        reader=avro.schema.parse(now), writer=avro.schema.parse(before)
    )
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    places = ", ".join(sorted(result.locations)) or "/"
    return [f"{message} (at {places})" for message in sorted(result.messages)]
