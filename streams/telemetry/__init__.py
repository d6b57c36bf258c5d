"""
What consent-gate tells about itself: facts, metrics, log lines, health. One catalogue for all.

The rest of the package emits facts of :mod:`streams.telemetry.catalogue` through a
:class:`~streams.telemetry.telemetry.Telemetry` and touches neither metrics nor loggers itself.
"""
