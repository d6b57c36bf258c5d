"""
Every error this package raises on purpose, split by what the caller does next.

::

    ConsentGateError
    ├── Retry                 wait, then do the same again; nothing was decided
    │   ├── KafkaUnavailable      a broker, a coordinator or a partition's leader did not answer
    │   ├── RegistryUnavailable   a schema id is unknown and the registry cannot be asked: a stall
    │   ├── LookupUnavailable     the reassigned-numbers service gave no answer: it is asked again
    │   ├── StateRebuilding       a person is rebuilding a partition's state: it waits for them
    │   └── StoreFull             the local store has no room: these partitions are held
    ├── DeadLetter            this one record can never be judged; keep its bytes, go on
    │   ├── Undecodable           no schema reads these bytes
    │   ├── NotE164               the recipient is not an E.164 number
    │   ├── KeyMismatch           the record's key is not its recipient
    │   ├── Misplaced             the record lies in a partition its key does not belong to
    │   ├── TooLarge              uncompressed it is larger than what may be passed on
    │   └── HandlerFailed         an agent of the worker fails on it each time
    ├── Aborted               this transaction was taken back: rewind from memory and try again
    ├── Indefinite            nobody knows whether the transaction was committed: restore everything
    └── Stop                  a person must act; the process ends with ``exit_code`` and this text
        ├── ConfigError           a setting is unknown, missing or of the wrong type
        ├── PolicyInvalid         a policy directory cannot be used: file, line, column, remedy
        ├── SecretsError          a key is missing, readable by others, or not the installation's
        │   └── KeyMissing            the one that opens a data key: its partition waits
        ├── TopicsUnfit           topics that the guarantees do not hold on
        ├── SchemaError           a schema is missing, or the registry refuses it
        ├── EmbeddedBrokerError   the embedded Kafka cannot start
        ├── StateLost             positions or records are gone that a restore needs
        │   └── PartitionLost         those of one partition: it is held, the others go on
        ├── GroupAtWork           gates are running that must be stopped for this
        ├── LossUnanswered        records are gone, and a person has to say what that means
        ├── StoreInUse            another process works in the same state directory
        ├── Fenced                another gate or worker runs under the same identity
        ├── WorkerFailed          the worker cannot go on; started again it can
        ├── LinesRefused          an import left lines out that people must mend
        ├── ProofBroken           the chain of decisions does not hold
        └── DecisionsDiffer       a recorded decision is not what its stamps give

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


class LookupUnavailable(Retry):
    """The reassigned-numbers service gave no answer. Its numbers stay unchecked, and held."""


class StateRebuilding(Retry):
    """A partition's state is half written by `consent-gate state rebuild`: it waits for the end."""


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


class HandlerFailed(DeadLetter):
    """An agent of the worker failed on it each time it was tried: a fault in the agent, mostly."""

    cause = "handler_failed"


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


class KeyMissing(SecretsError):
    """
    A person's data key cannot be opened: their partition waits, the others go on.

    Data keys are never replaced for that reason: what is sealed under the old one would be lost.
    """

    def __init__(self, text: str, subject_id: bytes) -> None:
        super().__init__(text)
        self.subject_id = subject_id


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


class GroupAtWork(Stop):
    """Gates are members of the group while something is to be done that needs them stopped."""

    exit_code = 12


class LossUnanswered(Stop):
    """Records that nobody read are gone: nothing is done before a person has answered for them."""

    exit_code = 13


class StoreInUse(Stop):
    """Another process works in the same state directory."""

    exit_code = 11


class Fenced(Stop):
    """Another process runs under the same ``instance_id``."""

    exit_code = 9


class WorkerFailed(Stop):
    """The worker cannot go on with what it has. Nothing is lost: a supervisor starts it again."""

    exit_code = 14


class LinesRefused(Stop):
    """An import is done but for lines that nobody can read: they wait in a file to be mended."""

    exit_code = 15


class ProofBroken(Stop):
    """The chain of decisions or of the ledger was changed, or a record of it removed or added."""

    exit_code = 10


class DecisionsDiffer(Stop):
    """A recorded decision, derived again from its stamps, came out as another one."""

    exit_code = 16
