"""What can be set: names, types, bounds, defaults, and what breaks when they are changed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from streams.config.passthrough import FIXED_KAFKA, is_secret
from streams.errors import ConfigError
from streams.resources import data_dir
from streams.topology import (
    BY_NAME,
    CONSENT_EVENTS,
    CONSENT_EVENTS_MIN_MS,
    CONTACTS_ENTRIES,
    DAY_MS,
    HOUR_MS,
    SHORT_MS,
    UNITS_MS,
    Topic,
    TopicNames,
    duration,
)

_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)")


class LogLevel(Enum):
    """From which severity on log lines are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _bad(key: object, message: str) -> PydanticCustomError:
    """An error about one key of a mapping. Its text is shown as it is: no secret may be in it."""
    return PydanticCustomError("consent_gate", "{message}", {"message": message, "key": key})


def kind_of(value: object) -> str:
    """Name the type of a value as YAML has it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a decimal number"
        case str():
            return "text"
        case Mapping():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return f"a {type(value).__name__}"


def nearest(name: str, names: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the closest of ``names``, or nothing if none is close."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _as_path(value: object) -> object:
    return Path(value).expanduser() if isinstance(value, str) and value else value


def _as_passed(value: object) -> object:
    """Write YAML's numbers and booleans as librdkafka spells them."""
    if not isinstance(value, Mapping):
        return value
    return {
        key: str(item).lower()
        if isinstance(item, bool)
        else str(item)
        if isinstance(item, int | float)
        else item
        for key, item in value.items()
    }


def _as_texts(value: object) -> object:
    """Take a list, or a text with commas between, as the environment has it."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    return tuple(value) if isinstance(value, list) else value


def _check_passed(value: dict[str, str]) -> dict[str, str]:
    for key in value:
        if key in FIXED_KAFKA:
            raise _bad(key, f"{key} cannot be set: {FIXED_KAFKA[key]}")
    return value


def _as_retention(value: object) -> object:
    """Turn ``{topic: "7d"}`` into milliseconds."""
    if not isinstance(value, Mapping):
        return value
    kept: dict[object, object] = {}
    for name, written in value.items():
        if isinstance(written, int) and not isinstance(written, bool):
            raise _bad(name, f"{name}: {written} has no unit; write a duration such as 7d or 12h")
        match = _DURATION.fullmatch(written) if isinstance(written, str) else None
        if match is None:
            raise _bad(
                name, f"{name} must be a duration such as 7d, 12h or 30m, not {kind_of(written)}"
            )
        kept[name] = int(match[1]) * UNITS_MS[match[2]]
    return kept


def _check_retention(value: dict[str, int]) -> dict[str, int]:
    for name, kept_ms in value.items():
        topic = BY_NAME.get(name)
        if topic is None:
            raise _bad(name, f"there is no topic {name!r}{nearest(name, BY_NAME)}")
        if topic.retention_ms is None:
            raise _bad(name, f"{name} is compacted: it has no retention to set")
        if topic is CONSENT_EVENTS and kept_ms < CONSENT_EVENTS_MIN_MS:
            raise _bad(name, f"{name} must be kept for at least 30d: guarantee I1 rests on it")
        if kept_ms < HOUR_MS:
            raise _bad(name, f"{name} must be kept for at least 1h")
    return value


def _check_renamed(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        if name not in BY_NAME:
            raise _bad(name, f"there is no topic {name!r}{nearest(name, BY_NAME)}")
    return value


def _default_policy_dir() -> Path:
    return data_dir("policies") / "default"


def _default_keywords_dir() -> Path:
    return data_dir("keywords")


LEAST_REMIND_HOURS = 36


def _check_remind_hours(value: int) -> int:
    if 0 < value < LEAST_REMIND_HOURS:
        raise _bad(None, f"write {LEAST_REMIND_HOURS} or more, or 0 for no reminder")
    return value


def _default_answers_file() -> Path:
    return data_dir("keywords") / "answers" / "answers.yaml"


Folder = Annotated[Path, BeforeValidator(_as_path)]
File = Annotated[Path, BeforeValidator(_as_path)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$")]


class Settings(BaseModel):
    """Everything that can be set. Immutable; ``repr`` shows no secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    bootstrap_servers: str = Field(
        "127.0.0.1:9092",
        title="host:port, with commas between",
        min_length=1,
        description="Brokers to start from, host:port with commas between.",
    )
    topic_prefix: str = Field(
        "",
        title="text",
        description="Put before every topic's name that topic_names does not give. Changed after "
        "the first record, it leaves all state behind.",
    )
    topic_names: Annotated[dict[str, str], AfterValidator(_check_renamed)] = Field(
        title="a mapping of text to text",
        default_factory=dict,
        description="Topics whose name on the cluster is another: own name to cluster's name.",
    )
    partitions: int = Field(
        4,
        ge=1,
        le=10_000,
        description="Partitions of sms.requested and of all topics that go with it, when `topics "
        "apply` makes them. Never change it after the first record: people's state would lie in "
        "other partitions than their requests.",
    )
    replication_factor: int | None = Field(
        None,
        ge=1,
        le=32,
        description="Replicas of each topic that `topics apply` makes. Unset: 3 where there are "
        "three brokers, else 1. Below 3 a lost broker can lose a withdrawal.",
    )
    retention: Annotated[
        dict[str, int], BeforeValidator(_as_retention), AfterValidator(_check_retention)
    ] = Field(
        title="a mapping of topics to durations",
        default_factory=dict,
        description="How long single topics are kept, as durations (7d, 12h), instead of what "
        "docs/topics.md says. Longer keeps people's data longer and delays erasures; shorter loses "
        "what a stopped gate has not read.",
    )
    state_dir: Folder = Field(
        title="a folder",
        default_factory=lambda: Path(platformdirs.user_state_dir("consent-gate", appauthor=False)),
        description="Folder of the gates' local copies of their state, each in a folder named by "
        "its instance_id. Lost, it is rebuilt from Kafka.",
    )
    policy_dir: Folder = Field(
        title="a folder",
        default_factory=_default_policy_dir,
        description="Folder with policy.yaml and the rule files it names. Read at start and on "
        "SIGHUP. Default: the policy that comes with the package.",
    )
    shadow_policy_dir: Folder | None = Field(
        None,
        title="a folder",
        description="Folder of a candidate policy that the gate asks beside policy_dir, at start "
        "and on SIGHUP the same. Its verdicts go to metrics and to the field shadow of decisions, "
        "and change nothing (docs/policy.md). Unset: there is none, and it costs nothing.",
    )
    keywords_dir: Folder = Field(
        title="a folder",
        default_factory=_default_keywords_dir,
        description="Folder with the lists of words that replies are read by, one YAML file a "
        "language; docs/keywords.md explains them. Default: the lists that come with the package. "
        "A word that is missing is a withdrawal that goes unheard.",
    )
    senders_file: File | None = Field(
        None,
        title="a file",
        description="YAML file that says which sender or campaign a short code or number belongs "
        "to, and by which names replies call it; docs/keywords.md explains it. Unset: a STOP that "
        "is not in doubt covers everything.",
    )
    answers_file: File = Field(
        title="a file",
        default_factory=_default_answers_file,
        description="YAML file with what people get back when they reply STOP, START or HELP, by "
        "language. Default: the one that comes with the package, which answers a STOP only. A text "
        "with marketing in it makes a confirmation unlawful.",
    )
    confirm_stops: bool = Field(
        True,
        title="true or false",
        description="Whether the worker asks for one confirmation of each STOP, within five "
        "minutes. The gate lets one pass although the person has just withdrawn.",
    )
    confirm_sender_id: str | None = Field(
        None,
        title="text",
        min_length=1,
        max_length=200,
        description="Where the policy wants consents confirmed: the sender_id under which the "
        "worker asks the person, if the consent names none of its own (docs/double-opt-in.md). "
        "Unset: the worker asks nobody, and a service of yours has to.",
    )
    confirm_remind_hours: Annotated[int, AfterValidator(_check_remind_hours)] = Field(
        48,
        ge=0,
        le=720,
        description="How long after that question the worker reminds, once. 36 at least, a day and "
        "a night: the gate drops a reminder within a day of the question, which may have waited "
        "for the morning. 0: nobody is reminded.",
    )
    secrets_dir: Folder = Field(
        title="a folder",
        default_factory=lambda: (
            Path(platformdirs.user_config_dir("consent-gate", appauthor=False)) / "secrets"
        ),
        description="Folder with the keys that `consent-gate init` makes, readable by the owner "
        "only. Losing the subject-id key loses every suppression: back it up apart from Kafka.",
    )
    http_host: str = Field(
        "127.0.0.1",
        title="an address",
        min_length=1,
        description="Address on which /metrics, /livez and /readyz are served. They are not "
        "protected: do not open them to the world.",
    )
    http_port: int = Field(
        9464, ge=0, le=65_535, description="Port of the same; 0 takes any that is free."
    )
    worker_http_port: int = Field(
        9465,
        ge=0,
        le=65_535,
        description="Port of the same for a worker, which may run beside a gate; 0 takes any that "
        "is free.",
    )
    instance_id: Name | None = Field(
        None,
        title="a name of at most 100 letters, digits, '.', '_' and '-'",
        description="Name of this gate among all gates of the group; the gate requires it. Keep it "
        "over restarts. Two gates with one name: the second stops the first.",
    )
    group_id: str = Field(
        "consent-gate",
        title="text",
        min_length=1,
        description="Consumer group of the gates. Default: topic_prefix, then consent-gate.",
    )
    schema_registry_url: str | None = Field(
        None,
        title="an http:// or https:// address",
        repr=False,
        pattern=r"^https?://\S+$",
        description="Confluent-compatible schema registry. Unset: records carry Avro's "
        "single-object fingerprint and no registry is needed.",
    )
    schema_registry: Annotated[dict[str, str], BeforeValidator(_as_passed)] = Field(
        title="a mapping of text to text",
        default_factory=dict,
        repr=False,
        description="Settings of the registry's client, such as basic.auth.user.info and "
        "ssl.ca.location, as confluent-kafka names them.",
    )
    kafka: Annotated[dict[str, str], BeforeValidator(_as_passed), AfterValidator(_check_passed)] = (
        Field(
            title="a mapping of text to text",
            default_factory=dict,
            repr=False,
            description="librdkafka settings passed through to every client, such as sasl.* and "
            "security.protocol. Those that the guarantees rest on are refused.",
        )
    )
    batch_max_records: int = Field(
        10_000,
        ge=1,
        le=100_000,
        description="Most requests in one transaction. Smaller costs speed (2,000: two thirds); "
        "larger must still commit in half of transaction_timeout_ms.",
    )
    batch_max_bytes: int = Field(
        64 * 1024 * 1024,
        ge=1024 * 1024,
        le=1024 * 1024 * 1024,
        description="Most bytes of requests in one transaction; bounds the gate's memory.",
    )
    batch_linger_ms: int = Field(
        20,
        ge=0,
        le=1_000,
        description="How long, in milliseconds, a batch that meets a backlog (1,000 requests "
        "waiting) waits for more at most. It waits a quarter of what a commit takes just now, "
        "which grows with the partitions it touches; less makes more and dearer transactions.",
    )
    barrier_timeout_ms: int = Field(
        500,
        ge=10,
        le=60_000,
        description="How long, in milliseconds, a batch waits for its partitions' state to reach "
        "the barrier. What is late is paused and tried again; never decided.",
    )
    idle_tick_ms: int = Field(
        1_000,
        ge=50,
        le=60_000,
        description="How often, in milliseconds, consent events of partitions without requests are "
        "folded and committed.",
    )
    session_timeout_ms: int = Field(
        10_000,
        ge=6_000,
        le=300_000,
        description="After how long without a sign of life, in milliseconds, a gate's partitions "
        "go to another. A large value prolongs takeovers; brokers refuse less than 6000 unless "
        "told otherwise.",
    )
    transaction_timeout_ms: int = Field(
        10_000,
        ge=1_000,
        le=900_000,
        description="After how long, in milliseconds, a dead gate's transaction is aborted. Until "
        "then it blocks its successor and all readers; too short aborts large batches.",
    )
    state_map_bytes: int = Field(
        16 * 1024**3,
        ge=16 * 1024**2,
        le=16 * 1024**4,
        description="Largest size of the local state, in bytes. The file is sparse: only what is "
        "used takes disk space. When it is full the partition is held.",
    )
    contact_entry_days: int = Field(
        30,
        ge=0,
        le=3_650,
        description="For how many days an address-book entry counts: so long is the keyed hash of "
        "a number kept that stood in an upload. With 0 nothing of it is kept: members are found "
        "all the same, but a decision cannot name the upload as its reason. contacts.entries is "
        "kept as long, but for a week at least, unless `retention` says otherwise.",
    )
    contact_purposes: Annotated[tuple[str, ...], BeforeValidator(_as_texts)] = Field(
        ("contact_a_friend",),
        title="a list of texts",
        description="The purposes, as uploads name them, that tell a user that contacts will be "
        "written to; in the environment with commas between. An upload that disclosed none of them "
        "counts as undisclosed. A purpose too many lets pass as said what was not said.",
    )
    start_purposes: Annotated[tuple[str, ...], BeforeValidator(_as_texts)] = Field(
        ("marketing",),
        title="a list of texts",
        description="The purposes that a reply of START consents to; in the environment with "
        "commas between. A purpose too many is a consent that nobody gave.",
    )
    answer_hours: int = Field(
        24,
        ge=1,
        le=168,
        description="For how many hours after a campaign's message a withdrawal or a complaint "
        "counts as an answer to it. The worker remembers so long who was written to: about 300 "
        "bytes of memory for each person.",
    )
    campaign_withdrawals_per_1000: int = Field(
        50,
        ge=1,
        le=1_000,
        description="A campaign is paused when more than so many of 1,000 messages of one hour "
        "were answered by a withdrawal. No law gives the figure; a larger one lets a campaign "
        "that people do not want go on for longer.",
    )
    campaign_least_withdrawals: int = Field(
        20,
        ge=0,
        le=1_000_000,
        description="So many withdrawals of one hour pause nothing, whatever the share.",
    )
    campaign_complaints_per_1000: int = Field(
        3,
        ge=1,
        le=1_000,
        description="The same for complaints: withdrawals that the carrier passed on.",
    )
    campaign_least_complaints: int = Field(
        3,
        ge=0,
        le=1_000_000,
        description="So many complaints of one hour pause nothing, whatever the share.",
    )
    uploader_contacts_per_hour: int = Field(
        20_000,
        ge=1,
        le=100_000_000,
        description="A user who uploads more contacts than this within an hour is paused: what "
        "they initiate is held until a person resumes them. Nobody has so many friends.",
    )
    uploader_new_numbers_per_hour: int = Field(
        10_000,
        ge=1,
        le=100_000_000,
        description="The same for distinct numbers that no earlier upload of theirs held.",
    )
    lookup_url: str | None = Field(
        None,
        title="an http:// or https:// address",
        repr=False,
        pattern=r"^https?://\S+$",
        description="Where the worker asks whether a number changed its holder, before an old "
        "consent is used where the policy demands it (docs/number-changes.md). Unset: nobody is "
        "asked, and those messages are held until a NUMBER_CHECKED comes from elsewhere.",
    )
    lookup_token: str | None = Field(
        None,
        title="text",
        repr=False,
        min_length=1,
        description="Sent to lookup_url as a bearer token.",
    )
    lookup_timeout_ms: int = Field(
        5_000,
        ge=100,
        le=5_000,
        description="How long, in milliseconds, each wait for that service takes at most.",
    )
    lookup_per_second: int = Field(
        10,
        ge=1,
        le=1_000,
        description="How often each worker asks it at most. Providers charge by the question.",
    )
    log_level: LogLevel = Field(
        LogLevel.INFO,
        title="one of debug, info, warning, error",
        strict=False,
        description="From which severity on log lines are written: debug, info, warning or error.",
    )

    @model_validator(mode="before")
    @classmethod
    def _group_after_prefix(cls, data: Any) -> Any:
        """Keep two installations on one cluster from sharing a consumer group."""
        if isinstance(data, dict) and "group_id" not in data and data.get("topic_prefix"):
            return {**data, "group_id": f"{data['topic_prefix']}consent-gate"}
        return data

    @model_validator(mode="after")
    def _names_fit(self) -> Settings:
        try:
            TopicNames(self.topic_prefix, self.topic_names)
        except ConfigError as error:
            raise _bad(None, str(error)) from error
        return self

    @cached_property
    def names(self) -> TopicNames:
        """The topics' names on this cluster."""
        return TopicNames(self.topic_prefix, self.topic_names)

    def configured(self, topic: Topic) -> Topic:
        """
        Return the topic with the retention that these settings give it.

        Address-book entries lie in theirs for as long as they count, so that a state can be rebuilt
        from it, and not longer; but for a week in any case, since a gate may stand still.
        """
        kept_ms = self.retention.get(topic.name)
        if kept_ms is None and topic is CONTACTS_ENTRIES:
            kept_ms = max(self.contact_entry_days * DAY_MS, SHORT_MS)
        return topic if kept_ms is None else topic.kept_for(kept_ms)


def shown(settings: Settings) -> dict[str, Any]:
    """Return the settings as plain JSON values, secrets replaced by ``***``."""
    values: dict[str, Any] = settings.model_dump(mode="json")
    for passed in ("kafka", "schema_registry"):
        values[passed] = {
            key: "***" if is_secret(key) else value for key, value in values[passed].items()
        }
    if settings.schema_registry_url is not None:
        values["schema_registry_url"] = re.sub(r"//[^/@]*@", "//***@", settings.schema_registry_url)
    if settings.lookup_url is not None:
        values["lookup_url"] = re.sub(r"//[^/@]*@", "//***@", settings.lookup_url)
    if settings.lookup_token is not None:
        values["lookup_token"] = "***"  # noqa: S105 - it is what is shown of one
    values["retention"] = {name: duration(kept) for name, kept in settings.retention.items()}
    return values
