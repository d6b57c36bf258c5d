"""
The worker: Faust agents on a runtime that loses nothing and acknowledges in one place only.

:mod:`~streams.processors.runtime` says how to write an agent. Agents are shells over pure
functions; :mod:`~streams.processors.agents` lists those that the worker runs.
"""
