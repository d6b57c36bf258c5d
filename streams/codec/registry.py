"""
The schema registry: ids of our schemas, schemas of foreign ids.

Any registry that speaks Confluent's REST interface will do (Confluent, Apicurio's ``ccompat``,
Karapace, Redpanda). An id never changes its schema, so a codec asks for each once and keeps it.
"""

from __future__ import annotations

import re
import time
import weakref
from collections.abc import Mapping
from typing import Any

from confluent_kafka.schema_registry import Schema as RegistrySchema
from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError

from streams.errors import ConfigError, RegistryUnavailable, SchemaError, Undecodable

ANSWER_SECONDS = 5.0
"""How long one question may take: for so long the gate's loop stands still. Sessions end after 10 s
(design, section 5)."""

QUIET_SECONDS = 1.0
"""After a question that was not answered none is put for so long: else a batch of ten thousand
records with an unknown id would wait ten thousand times."""

ABSENT_SECONDS = 10.0
"""How long an id is taken to be absent after the registry said so. Garbage that begins with a zero
byte looks like an id; a registry's replica may learn of a new id late."""

MOST_ABSENT = 10_000
"""Absent ids remembered; forgotten all at once beyond that."""

_NUMBERS = ("timeout", "max.retries", "retries.wait.ms", "retries.max.wait.ms", "cache.capacity")

# Confluent Schema Registry, API reference, "Errors".
_NO_SUCH_SUBJECT, _NO_SUCH_VERSION, _NO_SUCH_SCHEMA = 40401, 40402, 40403


class SchemaRegistry:
    """
    One registry. Not thread-safe.

    ``url`` may list several addresses with commas. ``settings`` are passed to Confluent's client:
    ``basic.auth.user.info``, ``ssl.ca.location`` and so on. Raises :class:`ConfigError` when the
    client refuses them. Connects to nothing until it is asked; its connections are closed when it
    is forgotten, or when the process ends.
    """

    def __init__(self, url: str, settings: Mapping[str, str]) -> None:
        self._shown = _without_password(url)
        conf: dict[str, Any] = {"timeout": ANSWER_SECONDS, "max.retries": 0} | dict(settings)
        for name in _NUMBERS:
            if isinstance(conf.get(name), str):
                conf[name] = _number(name, conf[name])
        try:
            self._client = SchemaRegistryClient({"url": url, **conf})
        except (ValueError, TypeError, OSError) as error:
            raise ConfigError(
                f"The settings of the schema registry at {self._shown} cannot be used: "
                f"{_without_password(str(error))}"
            ) from None
        weakref.finalize(self, self._client.close)
        self._absent: dict[int, float] = {}
        self._quiet_until = float("-inf")

    def ids_of(self, texts: Mapping[str, str]) -> dict[str, int]:
        """
        Give the ids of our schemas, by subject, from their texts by subject. Blocks.

        Each is looked up, and registered only where it is new: a gate whose schemas are known needs
        no right to write. Raises :class:`SchemaError` when the registry does not answer or refuses
        one of them.
        """
        return {subject: self._id_of(subject, text) for subject, text in texts.items()}

    def _id_of(self, subject: str, text: str) -> int:
        schema = RegistrySchema(text, "AVRO")
        try:
            try:
                found = self._client.lookup_schema(subject, schema)
                return found.schema_id  # type: ignore[return-value]  # an answer always has one
            except SchemaRegistryError as error:
                if error.error_code not in (_NO_SUCH_SUBJECT, _NO_SUCH_VERSION, _NO_SUCH_SCHEMA):
                    raise
            return self._client.register_schema(subject, schema)
        except SchemaRegistryError as error:
            refused = error
        except Exception as error:  # noqa: BLE001  # the HTTP client below has its own tree
            raise SchemaError(
                f"The schema registry at {self._shown} does not answer "
                f"({type(error).__name__}: {_without_password(str(error))}). Start it or correct "
                "schema_registry_url; without that setting no registry is needed."
            ) from None
        what = (
            "is not compatible with the versions that are registered there"
            if refused.http_status_code == 409
            else "could not be registered or looked up"
        )
        raise SchemaError(
            f"The schema registry at {self._shown} answered {refused.http_status_code} for the "
            f"subject {subject}: our schema {what}. It says: {refused.error_message}"
        )

    def text_of(self, schema_id: int) -> str:
        """
        Ask for the text of the Avro schema with this id.

        Blocks for some :data:`ANSWER_SECONDS` at most. The caller keeps the answer. Raises
        :class:`RegistryUnavailable` when nobody can tell now, :class:`Undecodable` when the
        registry has no such id, :class:`SchemaError` when it has one that will never be of use.
        """
        now = time.monotonic()
        if self._absent.get(schema_id, now) > now:
            raise Undecodable(f"the registry has no schema {schema_id}")
        if now < self._quiet_until:
            raise RegistryUnavailable(self._unknown(schema_id, "it did not answer just now"))
        schema = self._ask(schema_id)
        if schema.schema_type not in (None, "AVRO"):
            raise SchemaError(f"schema {schema_id} of the registry is not an Avro schema")
        if schema.references:
            raise SchemaError(
                f"schema {schema_id} of the registry refers to other schemas; register it whole"
            )
        return schema.schema_str or ""  # never empty: see below

    def _ask(self, schema_id: int) -> RegistrySchema:
        try:
            schema = self._client.get_schema(schema_id)
            if schema.schema_str:
                return schema
            absent, why = False, "its answer holds no schema"  # a proxy's page, for one
        except SchemaRegistryError as error:
            absent = error.error_code == _NO_SUCH_SCHEMA
            why = f"it answered {error.http_status_code}"
        except Exception as error:  # noqa: BLE001  # the HTTP client below has its own tree
            absent, why = False, type(error).__name__
        if absent:
            if len(self._absent) >= MOST_ABSENT:
                self._absent.clear()
            self._absent[schema_id] = time.monotonic() + ABSENT_SECONDS
            raise Undecodable(f"the registry has no schema {schema_id}")
        self._quiet_until = time.monotonic() + QUIET_SECONDS
        raise RegistryUnavailable(self._unknown(schema_id, why))

    def _unknown(self, schema_id: int, why: str) -> str:
        return (
            f"Schema {schema_id} is not known yet and the schema registry at {self._shown} cannot "
            f"be asked: {why}."
        )


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@]*@", "//", text)


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ConfigError(f"The schema registry's {name} must be a number.") from None
