"""
How a command comes by its settings.

::

    def gate(ctx: typer.Context, ...) -> None:
        settings = settings_of(ctx).settings
"""

from __future__ import annotations

from pathlib import Path

import typer

from streams.config import Loaded, load


def settings_of(ctx: typer.Context) -> Loaded:
    """
    Return the settings of this call, read from the file of ``--config`` and the environment.

    They are read when first asked for, so that commands without settings work beside a broken
    file, and once for each call. Raises :class:`ConfigError`.
    """
    root = ctx.find_root()
    if not isinstance(root.obj, Loaded):
        root.obj = load(root.obj)
    return root.obj


def remember_config(ctx: typer.Context, config: Path | None) -> None:
    """Note which file ``--config`` names, for :func:`settings_of`. For the root command only."""
    ctx.find_root().obj = config
