"""
What a policy comes to, for all facts at once: exact, and without trying them one by one.

::

    possible.py    which facts can stand together at all
    space.py       sets of fact tuples as decision diagrams: count them, find the smallest
    tables.py      each rule's condition as such a set
    outcomes.py    what a policy makes of every tuple, on each of its stretches of days
    findings.py    rules that never match, are superfluous or contradict; what no rule speaks of
    diff.py        what one policy decides otherwise than another

The vocabulary's product is some billions of tuples; a condition looks at a few facts. So a
condition is tabulated over its own facts by the very CEL that decides, and everything between rules
is asked of decision diagrams (OxiDD), which count exactly. Nothing here runs in the gate.
"""
