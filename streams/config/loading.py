"""
Reads the settings: one YAML file, then the environment, and says where each came from.

The file is ``--config``, else ``CONSENT_GATE_CONFIG``, else ``consent-gate.yaml`` in the working
directory if it is there. ``CONSENT_GATE_<NAME>`` beats the file; of a mapping (written as JSON) it
beats single keys, so that a password can come from the environment and the rest from the file.

Nothing else in this package reads the environment.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import annotated_types
import yaml
from pydantic import ValidationError

from streams.config.settings import File, Settings, kind_of, nearest
from streams.errors import ConfigError

ENVIRONMENT_PREFIX = "CONSENT_GATE_"
CONFIG_VARIABLE = "CONSENT_GATE_CONFIG"
DEFAULT_FILE = "consent-gate.yaml"

# Not settings: what Kubernetes puts into every pod's environment for a Service named consent-gate…
_SERVICE_LINK = re.compile(
    r"(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT|PORT_\d+_(TCP|UDP|SCTP).*)"
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    Settings and where each came from.

    ``sources`` has every setting's name: ``default``, ``file PATH``, ``environment VARIABLE``, or
    the last two with a comma between for a mapping that has keys from both.
    """

    settings: Settings
    sources: dict[str, str]


@dataclass(slots=True)
class _Written:
    """What file and environment say, and where each key stands: ``(name,)`` or ``(name, key)``."""

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    places: dict[tuple[str, ...], str] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)

    def add_file(self, path: Path) -> None:
        """Read a YAML file. Raises :class:`ConfigError` if it cannot be read as a mapping."""
        try:
            text = path.read_text(encoding="utf-8")
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            values = yaml.safe_load(text)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: is not UTF-8 text") from error
        except yaml.MarkedYAMLError as error:
            # The mark's snippet is left out: it could show a password.
            mark = error.problem_mark
            place = f"{path}:{mark.line + 1}" if mark else f"{path}"
            raise ConfigError(f"{place}: is not YAML: {error.problem}") from error
        except yaml.YAMLError as error:
            raise ConfigError(f"{path}: is not YAML") from error
        if root is None:
            return
        if not isinstance(root, yaml.MappingNode) or not isinstance(values, dict):
            raise ConfigError(f"{path}: must be a mapping of settings, not {kind_of(values)}")
        for keys, line in _keys(root):
            if keys in self.places:
                self.mistakes.append(f"{path}:{line}: {'.'.join(keys)} is set twice")
            self.places[keys] = f"{path}:{line}"
        for name, value in values.items():
            if name in _PATHS and isinstance(value, str) and value:
                # Relative to the file, not to where the command happens to be run.
                value = str(path.parent / Path(value).expanduser())
            self.values[str(name)] = value
            self.sources[str(name)] = f"file {path}"

    def add_environment(self, environ: Mapping[str, str]) -> None:
        """Lay the environment over what the file says."""
        for variable, text in sorted(environ.items()):
            if not variable.startswith(ENVIRONMENT_PREFIX) or variable == CONFIG_VARIABLE:
                continue
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
            if name not in Settings.model_fields or variable != variable.upper():
                if not _SERVICE_LINK.fullmatch(variable.removeprefix(ENVIRONMENT_PREFIX)):
                    known = [ENVIRONMENT_PREFIX + known.upper() for known in Settings.model_fields]
                    self.mistakes.append(f"{variable}: unknown setting{nearest(variable, known)}")
                continue
            try:
                value = _from_text(name, text)
            except ValueError as error:
                self.mistakes.append(f"{variable}: {error}")
                continue
            self.places[name,] = variable
            origin = f"environment {variable}"
            if isinstance(value, dict):
                self.places |= {(name, str(key)): variable for key in value}
                if isinstance(self.values.get(name), dict):
                    value = {**self.values[name], **value}
                    origin = f"{self.sources[name]}, {origin}"
            self.values[name], self.sources[name] = value, origin

    def explain(self, error: Mapping[str, Any]) -> str:
        """Turn one of pydantic's errors into a line for people."""
        loc, context = error["loc"], error.get("ctx", {})
        if not loc:
            return str(context.get("message", error["msg"]))
        name = str(loc[0])
        key = context.get("key", loc[1] if len(loc) > 1 else None)
        place = self.places.get((name, str(key))) or self.places.get((name,), "settings")
        match error["type"]:
            case "extra_forbidden":
                near = nearest(name, Settings.model_fields)
                return f"{place}: unknown setting {name!r}{near}"
            case "consent_gate":
                return f"{place}: {name}: {context['message']}"
            case _:
                given = error["input"]
                what = kind_of(given)
                if expected(name).startswith(what):
                    what = str(given)  # the kind is right, the size is not
                elif Settings.model_fields[name].repr and isinstance(given, str | int | float):
                    what += f" ({(given[:60] if isinstance(given, str) else given)!r})"
                if key is not None:
                    return f"{place}: {name}: {key} must be text, not {what}"
                return f"{place}: {name} must be {expected(name)}, not {what}"


def load_settings(config: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the effective settings; see :func:`load`."""
    return load(config, environ).settings


def load(config: Path | None = None, environ: Mapping[str, str] = os.environ) -> Loaded:
    """
    Read file and environment. Relative folders in the file are relative to the file.

    Raises :class:`ConfigError` with one line for each mistake: where it stands, the setting, what
    it must be, the type of what it is, and the nearest valid name. No value of ``kafka`` is shown.
    """
    written = _Written()
    if config is None and (named := environ.get(CONFIG_VARIABLE)):
        config = Path(named)
    if config is None and Path(DEFAULT_FILE).is_file():
        config = Path(DEFAULT_FILE)
    if config is not None:
        written.add_file(config.expanduser().absolute())
    written.add_environment(environ)
    settings = None
    try:
        settings = Settings.model_validate(written.values)
    except ValidationError as error:
        written.mistakes += map(written.explain, error.errors(include_url=False))
    if settings is None or written.mistakes:
        raise ConfigError("\n".join(dict.fromkeys(written.mistakes)))
    return Loaded(settings, dict.fromkeys(Settings.model_fields, "default") | written.sources)


def expected(name: str) -> str:
    """Say in words what a setting must be, its bounds included."""
    bounds = Settings.model_fields[name]
    if bounds.title is not None:
        return bounds.title
    least = next(bound.ge for bound in bounds.metadata if isinstance(bound, annotated_types.Ge))
    most = next(bound.le for bound in bounds.metadata if isinstance(bound, annotated_types.Le))
    return f"a whole number from {least} to {most}"


_PATHS = frozenset(
    name
    for name, setting in Settings.model_fields.items()
    if setting.annotation in (Path, File | None)
)
_MAPPINGS = frozenset(
    name for name, setting in Settings.model_fields.items() if setting.default_factory is dict
)


def _keys(root: yaml.MappingNode) -> Iterator[tuple[tuple[str, ...], int]]:
    """Give each key of the file, two levels deep, and its line, counted from 1."""
    for key, value in root.value:
        yield (str(key.value),), key.start_mark.line + 1
        if isinstance(value, yaml.MappingNode):
            for inner, _ in value.value:
                yield (str(key.value), str(inner.value)), inner.start_mark.line + 1


def _from_text(name: str, text: str) -> Any:
    """
    Read a variable's text as its setting's type.

    What does not fit stays text, for the validation to explain. An empty text unsets what may be
    unset: compose files hand on variables that way. Raises ValueError for a mapping that is not
    JSON, without repeating it.
    """
    setting = Settings.model_fields[name]
    if name in _MAPPINGS:
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{name} must be {expected(name)}, written as JSON: {error.msg} at column "
                f"{error.colno}"
            ) from None
    if text == "" and setting.default is None:
        return None
    if setting.annotation is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if setting.title is None and re.fullmatch(r"[+-]?\d+", text, re.ASCII):
        return int(text)
    return text
