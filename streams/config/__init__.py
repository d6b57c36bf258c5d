"""
The settings: one YAML file, each setting overridable by the environment.

:func:`load` (or :func:`load_settings`) is the only reader of the environment in this package.
"""

from streams.config.loading import Loaded, load, load_settings
from streams.config.passthrough import FIXED_KAFKA, is_secret
from streams.config.settings import LogLevel, Settings, shown

__all__ = [
    "FIXED_KAFKA",
    "Loaded",
    "LogLevel",
    "Settings",
    "is_secret",
    "load",
    "load_settings",
    "shown",
]
