"""
Made-up cases: what a person writes to try a policy out, read into the records that Kafka carries.

::

    written.py     one record, in the field names of its schema
    cases.py       a file of cases: recipient, history, request, and what is expected

Pure. Deciding them needs the fold and is ``streams/audit/trying.py``.
"""
