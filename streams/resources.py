"""
Where the files that ship with the package lie: schemas, policies and keywords.

In an installed wheel they are in ``streams/_data``; in a checkout they are the folders beside the
package, so that an edit there counts at once.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from streams.errors import ConfigError


def data_dir(name: str) -> Path:
    """
    Give the folder ``schemas``, ``policies`` or ``keywords`` of this installation.

    Raises :class:`ConfigError` when the installation has no such folder.
    """
    # The package is always a folder on disk: it is never run from a zip file.
    with as_file(files("streams")) as package:
        shipped = package / "_data" / name
        if shipped.is_dir():
            return shipped
        beside = package.parent / name
    if (beside.parent / "pyproject.toml").is_file() and beside.is_dir():
        return beside
    raise ConfigError(
        f"The folder {name!r} that ships with consent-gate is missing from {package}. "
        "The installation is incomplete: install consent-gate again."
    )
