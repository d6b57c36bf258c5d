"""
Every error this package raises on purpose, split by what the caller does next.

::

    ConsentGateError
    ├── Retry                 wait, then do the same again; nothing was decided
    │   ├── KafkaUnavailable      a broker, a coordinator or a partition's leader did not answer
    │   ├── RegistryUnavailable   a schema id is unknown and the registry cannot be asked: a stall
    │   └── StoreFull             the local store has no room: these partitions are held
    ├── DeadLetter            this one record can never be judged; keep its bytes, go on
    │   ├── Undecodable           no schema reads these bytes
    │   ├── NotE164               the recipient is not an E.164 number
    │   ├── KeyMismatch           the record's key is not its recipient
    │   ├── Misplaced             the record lies in a partition its key does not belong to
    │   └── TooLarge              uncompressed it is larger than what may be passed on
    ├── Aborted               this transaction was taken back: rewind from memory and try again
    ├── Indefinite            nobody knows whether the transaction was committed: restore everything
    └── Stop                  a person must act; the process ends with ``exit_code`` and this text
        ├── ConfigError           a setting is unknown, missing or of the wrong type
        ├── PolicyInvalid         a policy directory cannot be used: file, line, column, remedy
        ├── SecretsError          a key is missing, readable by others, or not the installation's
        ├── TopicsUnfit           topics that the guarantees do not hold on
        ├── SchemaError           a schema is missing, or the registry refuses it
        ├── EmbeddedBrokerError   the embedded Kafka cannot start
        ├── StateLost             positions or records are gone that a restore needs
        │   └── PartitionLost         those of one partition: it is held, the others go on
        ├── StoreInUse            another process works in the same state directory
        ├── Fenced                another gate runs under the same identity
        └── ProofBroken           the chain of decisions does not hold

No message carries a phone number, a name or a message body (guarantee I7): a record is named by its
topic, partition and offset, never by its content.
"""

from __future__ import annotations


class ConsentGateError(Exception):
    """The root of the tree. Its text is for people and free of personal data."""


class Retry(ConsentGateError):
    """Something outside did not answer. Nothing was decided; the same step may be tried again."""


class KafkaUnavailable(Retry):
    """A broker, a coordinator or the leader of a partition did not answer in time."""


class RegistryUnavailable(Retry):
    """A schema id is unknown and the registry cannot be asked. Its partition stalls."""


class StoreFull(Retry):
    """The map (``state_map_bytes``) or the disk is full: the partitions of this write are held."""


class DeadLetter(ConsentGateError):
    """
    One record that nobody can judge.

    ``cause`` is the closed set of values that the metric and the dead letter's header carry.
    """

    cause: str = "other"


class Undecodable(DeadLetter):
    """No known schema reads these bytes, or they do not end where the record ends."""

    cause = "undecodable"


class NotE164(DeadLetter):
    """The recipient is not ``+`` followed by 2 to 15 digits, the first not 0 (ITU-T E.164)."""

    cause = "not_e164"


class KeyMismatch(DeadLetter):
    """The record's key is not its recipient: it may lie where no STOP would be found."""

    cause = "key_mismatch"


class Misplaced(DeadLetter):
    """The record's key belongs to another partition by murmur2."""

    cause = "misplaced"


class TooLarge(DeadLetter):
    """
    The value is larger than an input topic's limit once it is uncompressed.

    Brokers count compressed bytes; sealed, it would not compress again and could not be written.
    """

    cause = "too_large"


class Aborted(ConsentGateError):
    """The coordinator confirmed that the transaction was aborted: nothing of it is visible."""


class Indefinite(ConsentGateError):
    """The transaction's fate is unknown, or the producer cannot go on: restore from the topics."""


class Stop(ConsentGateError):
    """A person must act. The process prints the text and ends with ``exit_code``."""

    exit_code: int = 1


class ConfigError(Stop):
    """A setting is unknown, missing, or of the wrong type or range."""

    exit_code = 2


class PolicyInvalid(Stop):
    """A policy directory cannot be used. The text names file, line, column and remedy."""

    exit_code = 3


class SecretsError(Stop):
    """A key is missing, readable by others, or not the one this installation was set up with."""

    exit_code = 4


class TopicsUnfit(Stop):
    """Topics are missing or set up so that the guarantees cannot hold."""

    exit_code = 5


class SchemaError(Stop):
    """A schema is missing or incompatible, or the registry refuses it or is down at start."""

    exit_code = 6


class EmbeddedBrokerError(Stop):
    """The embedded Kafka cannot be fetched or started."""

    exit_code = 7


class StateLost(Stop):
    """Records or positions that a restore needs are gone. Never skipped silently."""

    exit_code = 8


class PartitionLost(StateLost):
    """Records that one partition still needs are gone: it is held, the others go on."""


class StoreInUse(Stop):
    """Another process works in the same state directory."""

    exit_code = 11


class Fenced(Stop):
    """Another process runs under the same ``instance_id``."""

    exit_code = 9


class ProofBroken(Stop):
    """The chain of decisions or of the ledger was changed, or a record of it removed or added."""

    exit_code = 10
