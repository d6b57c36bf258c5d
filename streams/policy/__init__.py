"""
What may be sent, decided without a clock, a store or the network.

::

    SmsRequested, SubjectState, broadcast tables, now
        -> facts.assess      one finite tuple of facts
        -> policy.decide     the rules of one policy version, memoised by that tuple
        -> verdicts.Verdict  Allow | Drop | Quarantine

Facts are read by this code; what follows from them stands in YAML (``policies/``), so that a
compliance officer can read and change it. ``docs/policy.md`` says how.
"""
