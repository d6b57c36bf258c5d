"""The settings: where they come from, and what is said of a mistake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from streams.config import FIXED_KAFKA, LogLevel, Settings, load, shown
from streams.errors import ConfigError
from streams.topology import CONSENT_EVENTS, DAY_MS, SMS_REQUESTED

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a configuration file and return its path."""

    def written(text: str) -> Path:
        path = tmp_path / "settings.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads a `consent-gate.yaml` that happens to lie where the tests are run."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)


def mistakes(config: Path | None = None, **environ: str) -> list[str]:
    """Return the lines of the error that these settings raise."""
    with pytest.raises(ConfigError) as caught:
        load(config, environ)
    return str(caught.value).splitlines()


def test_without_file_and_environment_everything_is_the_default() -> None:
    loaded = load(None, {})

    assert loaded.settings.bootstrap_servers == "127.0.0.1:9092"
    assert loaded.settings.instance_id is None
    assert set(loaded.sources.values()) == {"default"}


def test_the_environment_beats_the_file(write: Write) -> None:
    path = write("partitions: 6\nhttp_port: 8000\nlog_level: debug\n")

    loaded = load(path, {"CONSENT_GATE_PARTITIONS": "12"})

    assert loaded.settings.partitions == 12
    assert loaded.settings.http_port == 8000
    assert loaded.settings.log_level is LogLevel.DEBUG
    assert loaded.sources["partitions"] == "environment CONSENT_GATE_PARTITIONS"
    assert loaded.sources["http_port"] == f"file {path}"
    assert loaded.sources["http_host"] == "default"


def test_a_password_from_the_environment_joins_the_mapping_of_the_file(write: Write) -> None:
    path = write("kafka:\n  security.protocol: SASL_SSL\n  linger.ms: 20\n")

    loaded = load(path, {"CONSENT_GATE_KAFKA": '{"sasl.password": "hush", "linger.ms": 30}'})

    assert loaded.settings.kafka == {
        "security.protocol": "SASL_SSL",
        "sasl.password": "hush",
        "linger.ms": "30",
    }
    assert loaded.sources["kafka"] == f"file {path}, environment CONSENT_GATE_KAFKA"


def test_the_file_is_the_one_of_the_option_else_of_the_variable_else_here(
    write: Write, tmp_path: Path
) -> None:
    named = write("partitions: 2\n")
    option = tmp_path / "option.yaml"
    option.write_text("partitions: 3\n")
    Path("consent-gate.yaml").write_text("partitions: 1\n")

    assert load(None, {}).settings.partitions == 1
    assert load(None, {"CONSENT_GATE_CONFIG": str(named)}).settings.partitions == 2
    assert load(option, {"CONSENT_GATE_CONFIG": str(named)}).settings.partitions == 3


def test_folders_of_the_file_are_relative_to_it(write: Write) -> None:
    path = write("policy_dir: rules\nsecrets_dir: /etc/keys\n")

    settings = load(path, {}).settings

    assert settings.policy_dir == path.parent / "rules"
    assert settings.secrets_dir == Path("/etc/keys")


def test_an_unknown_setting_is_named_with_its_line_and_the_nearest_name(write: Write) -> None:
    path = write("http_port: 1\npartitons: 4\n")

    assert mistakes(path) == [f"{path}:2: unknown setting 'partitons'; did you mean 'partitions'?"]


def test_an_unknown_variable_is_named_with_the_nearest_name() -> None:
    assert mistakes(CONSENT_GATE_HTTPPORT="1") == [
        "CONSENT_GATE_HTTPPORT: unknown setting; did you mean 'CONSENT_GATE_HTTP_PORT'?"
    ]


def test_what_kubernetes_adds_for_a_service_is_no_setting() -> None:
    loaded = load(
        None,
        {
            "CONSENT_GATE_PORT": "tcp://10.0.0.1:9464",
            "CONSENT_GATE_SERVICE_HOST": "10.0.0.1",
            "CONSENT_GATE_PORT_9464_TCP_ADDR": "10.0.0.1",
        },
    )

    assert set(loaded.sources.values()) == {"default"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "partitions: four",
            "partitions must be a whole number from 1 to 10000, not text ('four')",
        ),
        (
            "partitions: 0",
            "partitions must be a whole number from 1 to 10000, not 0",
        ),
        ("partitions: 1.5", "not a decimal number (1.5)"),
        ("http_port: yes", "http_port must be a whole number from 0 to 65535, not true or false"),
        ("topic_prefix: 5", "topic_prefix must be text, not a whole number (5)"),
        (
            "log_level: loud",
            "log_level must be one of debug, info, warning, error, not text ('loud')",
        ),
        ("policy_dir: [a]", "policy_dir must be a folder, not a list"),
        ("policy_dir:", "policy_dir must be a folder, not nothing"),
        ("instance_id: a/b", "instance_id must be a name of at most 100 letters"),
        ("kafka: SSL", "kafka must be a mapping of text to text, not text"),
        ("schema_registry_url: registry:8081", "must be an http:// or https:// address, not text"),
        (
            "topic_names: {sms.requestd: a}",
            "no topic 'sms.requestd'; did you mean 'sms.requested'?",
        ),
        ("topic_prefix: a b", "Kafka does not take the name"),
        ("retention: {sms.allowed: 7}", "7 has no unit; write a duration such as 7d or 12h"),
        ("retention: {sms.allowed: soon}", "must be a duration such as 7d, 12h or 30m, not text"),
        ("retention: {consent.events: 29d}", "consent.events must be kept for at least 30d"),
        ("retention: {subjects.state: 9d}", "subjects.state is compacted"),
    ],
)
def test_a_bad_value_says_what_it_must_be_and_what_it_is(
    write: Write, text: str, told: str
) -> None:
    (line,) = mistakes(write(text))

    assert told in line


def test_every_mistake_is_told_at_once_each_with_its_place(write: Write) -> None:
    path = write("partitions: x\nhttp_host: ''\nkafka:\n  acks: 0\n")

    lines = mistakes(path, CONSENT_GATE_HTTP_PORT="y")

    assert sorted(line.partition(" ")[0] for line in lines) == [
        f"{path}:1:",
        f"{path}:2:",
        f"{path}:4:",
        "CONSENT_GATE_HTTP_PORT:",
    ]


def test_a_setting_written_twice_is_a_mistake(write: Write) -> None:
    path = write("partitions: 4\npartitions: 8\n")

    assert mistakes(path) == [f"{path}:2: partitions is set twice"]


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words\n", "a: [\n", "a: b: c\n", "!!set x\n"])
def test_what_is_not_a_mapping_is_no_configuration(write: Write, text: str) -> None:
    path = write(text)

    assert mistakes(path)[0].startswith(str(path))


def test_an_empty_file_sets_nothing(write: Write) -> None:
    assert load(write("# nothing yet\n"), {}).settings == load(None, {}).settings


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    assert "cannot be read" in mistakes(tmp_path / "none.yaml")[0]


@pytest.mark.parametrize("key", sorted(FIXED_KAFKA))
def test_what_the_guarantees_rest_on_cannot_be_passed_through(write: Write, key: str) -> None:
    path = write(f"kafka:\n  {key}: 'x'\n")

    assert mistakes(path) == [f"{path}:2: kafka: {key} cannot be set: {FIXED_KAFKA[key]}"]


def test_no_text_that_leaves_the_settings_holds_a_secret(write: Write) -> None:
    path = write(
        "schema_registry_url: https://user:hush@registry.example\n"
        "schema_registry: {basic.auth.user.info: 'user:hush'}\n"
        "kafka:\n"
        "  sasl.username: gate\n"
        "  sasl.password: hush\n"
        "  ssl.key.password: hush\n"
        "  ssl.key.pem: hush\n"
        "  sasl.oauthbearer.client.secret: hush\n"
    )

    settings = load(path, {}).settings

    assert "hush" not in repr(settings)
    assert "hush" not in str(shown(settings))
    assert "gate" in str(shown(settings)["kafka"])
    assert shown(settings)["schema_registry_url"] == "https://***@registry.example"
    assert shown(settings)["schema_registry"] == {"basic.auth.user.info": "***"}


@pytest.mark.parametrize(
    "text",
    [
        "kafka:\n  sasl.password: [hush]\n",
        "kafka: hush\n",
        "schema_registry_url: ftp://u:hush@x\n",
        "kafka:\n  sasl.password: 'hush\n",
        "kafka: {sasl.password: hush, x: y: z}\n",
    ],
)
def test_a_mistake_beside_a_secret_does_not_show_it(write: Write, text: str) -> None:
    assert "hush" not in "".join(mistakes(write(text)))


def test_a_mapping_in_the_environment_that_is_not_json_is_not_repeated() -> None:
    (line,) = mistakes(CONSENT_GATE_KAFKA='{"sasl.password": hush}')

    assert line.startswith("CONSENT_GATE_KAFKA: kafka must be a mapping of text to text, written")
    assert "hush" not in line


def test_numbers_and_booleans_for_librdkafka_are_spelt_as_it_reads_them(write: Write) -> None:
    path = write("kafka:\n  socket.keepalive.enable: true\n  linger.ms: 0.5\n  retries: 3\n")

    assert load(path, {}).settings.kafka == {
        "socket.keepalive.enable": "true",
        "linger.ms": "0.5",
        "retries": "3",
    }


def test_an_empty_variable_unsets_what_may_be_unset(write: Write) -> None:
    path = write("schema_registry_url: http://registry:8081\n")

    loaded = load(path, {"CONSENT_GATE_SCHEMA_REGISTRY_URL": ""})

    assert loaded.settings.schema_registry_url is None


def test_two_installations_on_one_cluster_have_groups_of_their_own() -> None:
    assert Settings().group_id == "consent-gate"
    assert Settings(topic_prefix="acme.").group_id == "acme.consent-gate"
    assert Settings(topic_prefix="acme.", group_id="gates").group_id == "gates"


def test_a_retention_of_the_settings_counts_for_its_topic_only(write: Write) -> None:
    settings = load(write("retention: {consent.events: 60d}\n"), {}).settings

    assert settings.configured(CONSENT_EVENTS).retention_ms == 60 * DAY_MS
    assert settings.configured(SMS_REQUESTED) is SMS_REQUESTED
    assert shown(settings)["retention"] == {"consent.events": "60d"}


def test_a_file_s_place_is_relative_to_the_configuration(write: Write) -> None:
    path = write("senders_file: senders.yaml\nanswers_file: own/answers.yaml\n")

    settings = load(path, {}).settings

    assert settings.senders_file == path.parent / "senders.yaml"
    assert settings.answers_file == path.parent / "own" / "answers.yaml"


def test_true_and_false_can_come_from_the_environment() -> None:
    assert load(None, {"CONSENT_GATE_CONFIRM_STOPS": "False"}).settings.confirm_stops is False
    assert mistakes(CONSENT_GATE_CONFIRM_STOPS="no") == [
        "CONSENT_GATE_CONFIRM_STOPS: confirm_stops must be true or false, not text ('no')"
    ]


def test_a_reminder_waits_a_day_and_a_night_or_for_ever() -> None:
    for hours in ("0", "36"):
        settings = load(None, {"CONSENT_GATE_CONFIRM_REMIND_HOURS": hours}).settings
        assert settings.confirm_remind_hours == int(hours)
    [told] = mistakes(CONSENT_GATE_CONFIRM_REMIND_HOURS="35")
    assert "write 36 or more, or 0 for no reminder" in told
