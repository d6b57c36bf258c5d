"""
Bytes to records and back: the only room that speaks Avro.

``schemas/*.avsc`` are the source of truth; ``streams/records`` are the same shapes as Python
values. fastavro reads and gives fingerprints, ``avro`` checks that new versions read old ones.
"""
