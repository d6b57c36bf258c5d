"""``consent-gate init``: the keys of an installation and its commented configuration file."""

from __future__ import annotations

import os
import textwrap
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from streams.config import Settings
from streams.config.loading import DEFAULT_FILE
from streams.errors import ConfigError
from streams.sealing.keyring import open_keyring
from streams.sealing.secrets_folder import (
    ENCRYPTION_FOLDER,
    SIGNING_FOLDER,
    SUBJECT_ID_FILE,
    add_key_encryption_key,
    add_signing_key,
    has_keys,
    init_secrets,
)

_SECRETS_FOLDER = "secrets"
_COMMENT_WIDTH = 96

_HEAD = """\
# Settings of consent-gate. What is commented out shows the default. Each can also be set by the
# environment, as CONSENT_GATE_ and its name in capitals, which beats this file.
# `consent-gate config show` prints what is in effect and where it came from.
# Folders are relative to this file.
"""

_ABOUT_KEYS = """\
{secrets}/{subject_id}
  The subject-id key: everything about a person is filed under ids that only it can make.
  It cannot be rotated. If it is lost, every suppression is lost with it: nobody's STOP can be
  found again, and the gate refuses to start with another one. Back it up now, in two places,
  offline or in a secrets manager.
{secrets}/{encryption}/
  Key-encryption keys: they open what is sealed. Back them up apart from everything that comes from
  Kafka, and never together with it: whoever has both can undo an erasure.
  Rotate with `consent-gate init --new-key encryption`.
{secrets}/{signing}/
  Signing keys: they prove that decisions are ours. Give the *.pub files to whoever audits, and
  keep them as long as decisions are kept. Rotate with `consent-gate init --new-key signing`.

All gates of an installation need the same folder, readable by their own user only."""


class NewKey(Enum):
    """Which kind of key is rotated. There is no third: the subject-id key cannot be."""

    ENCRYPTION = "encryption"
    SIGNING = "signing"


def init(
    folder: Annotated[
        Path,
        typer.Option(
            "--dir", help="Folder for consent-gate.yaml and the folder secrets.", file_okay=False
        ),
    ] = Path(),
    if_missing: Annotated[
        bool,
        typer.Option(
            "--if-missing",
            help="Make only what is not there; if all is, that is no error. For start scripts.",
        ),
    ] = False,
    new_key: Annotated[
        NewKey | None,
        typer.Option(help="Rotate: add a key to a folder that is set up. Older ones are kept."),
    ] = None,
) -> None:
    """
    Make the secrets folder, its keys, and a commented configuration file. Once per installation.

    Nothing is ever overwritten: if something is there already, nothing is changed and the exit
    status is not 0.
    """
    secrets, config = folder / _SECRETS_FOLDER, folder / DEFAULT_FILE
    if new_key is not None:
        _rotate(secrets, new_key)
        return
    if not if_missing and config.exists():
        raise ConfigError(f"{config} is there already: nothing was changed.")
    if if_missing and has_keys(secrets):
        open_keyring(secrets)  # what is there must be whole
        typer.echo(f"{secrets} has its keys already.")
    else:
        init_secrets(secrets)
        typer.echo(
            _ABOUT_KEYS.format(
                secrets=secrets,
                subject_id=SUBJECT_ID_FILE,
                encryption=ENCRYPTION_FOLDER,
                signing=SIGNING_FOLDER,
            )
        )
    if config.exists():
        typer.echo(f"{config} is there already.")
        return
    _write_new(config, configuration_text({"secrets_dir": _SECRETS_FOLDER}))
    typer.echo(
        f"\n{config}\n  All settings with their defaults. Next: `consent-gate topics apply`."
    )


def configuration_text(set_values: dict[str, Any]) -> str:
    """Write a configuration file with every setting: those of ``set_values``, and comments."""
    paragraphs = [_HEAD]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        value = set_values.get(name, default)
        # A list stands in one line, so that one # comments it out.
        flow = None if isinstance(value, tuple) else False
        line = yaml.safe_dump(
            {name: _plain(value)}, width=1000, allow_unicode=True, default_flow_style=flow
        ).strip()
        comment = textwrap.fill(
            field.description or "",
            _COMMENT_WIDTH,
            initial_indent="# ",
            subsequent_indent="# ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        paragraphs.append(f"{comment}\n{'' if name in set_values else '#'}{line}\n")
    return "\n".join(paragraphs)


def _plain(value: Any) -> Any:
    """Give a setting's value as YAML would hold it."""
    match value:
        case Path():
            return str(value)
        case Enum():
            return value.value
        case _:
            return value


def _rotate(secrets: Path, kind: NewKey) -> None:
    open_keyring(secrets)  # there must be a whole installation to add to
    match kind:
        case NewKey.ENCRYPTION:
            key_id = add_key_encryption_key(secrets)
            then = "Older keys stay: data keys that they wrapped still need them."
        case NewKey.SIGNING:
            key_id = add_signing_key(secrets)
            then = (
                "Older public keys stay, for verification; an older private key may be deleted "
                "once every gate runs with the new one."
            )
    typer.echo(
        f"Added the {kind.value} key {key_id} to {secrets}. Copy it to every gate's folder first, "
        f"then restart the gates one by one. {then}"
    )


def _write_new(path: Path, text: str) -> None:
    """Write a file that must not be there; for the owner only, since passwords may go into it."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
