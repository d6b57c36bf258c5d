"""
What flows: plain typed records, one class for each schema in ``schemas/``.

Every timestamp is an ``int`` of milliseconds since the epoch, UTC (Avro ``timestamp-millis``).
A record's ``repr`` shows its type and the fields that name no person, nothing else (guarantee I7).
"""
