"""E.164 numbers: the only form in which a person is named in an input topic."""

from __future__ import annotations

import re

_E164 = re.compile(r"\+[1-9][0-9]{1,14}", re.ASCII)

is_e164 = _E164.fullmatch
"""Match ``+`` and at most 15 digits, the first not 0 (ITU-T E.164)."""
