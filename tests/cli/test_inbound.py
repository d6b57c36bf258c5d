"""`consent-gate inbound classify`: one reply, many, and what is said of a mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streams.cli.main import app
from streams.errors import ConfigError

Classify = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Classify:
    """Run the command where no configuration lies."""
    monkeypatch.chdir(tmp_path)

    def classified(*args: str | Path, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(app, ["inbound", "classify", *map(str, args)], input=stdin)

    return classified


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    """Write a CSV file and return its path."""

    def written(content: bytes) -> Path:
        path = tmp_path / "replies.csv"
        path.write_bytes(content)
        return path

    return written


def refusal(result: Result) -> str:
    """Return the text of the Stop that ended the command; `main` prints it and exits with 2."""
    assert isinstance(result.exception, ConfigError)
    assert result.exception.exit_code == 2
    return str(result.exception)


def test_it_says_what_a_reply_means_and_why(run: Classify) -> None:
    result = run("Stop. Thank you")

    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "meaning  STOP",
        "why      the message is nothing but that, and words that change nothing",
        "keyword  stop (English, en.yaml)",
        "scope    everything: nothing says whose number the reply came to",
    ]


def test_it_says_what_a_stop_covers(run: Classify) -> None:
    assert "scope    everything: the reply says" in run("STOP ALL").output
    assert "names    promo" in run("STOP PROMO").output
    assert "scope    sender 36111" in run("STOP this bill", "--recipient", "36111").output
    assert "scope" not in run("thanks", "--recipient", "36111").output


def test_a_doubt_is_never_said_to_end_everything(run: Classify) -> None:
    assert "scope    the sender or campaign it came to" in run("STOP this bill").output
    assert json.loads(run("STOP this bill", "--json").output)["scope"] is None


def test_the_register_of_senders_counts(run: Classify, tmp_path: Path) -> None:
    register = tmp_path / "senders.yaml"
    register.write_text("senders: [{sender_id: acme, recipients: ['36111'], names: [Acme]}]\n")

    def scope(*args: str) -> str:
        return run(*args, "--senders", register).output

    assert "scope    sender acme: the reply came to its number" in scope(
        "stop", "--recipient", "36111"
    )
    assert "scope    sender acme: the reply names it" in scope("STOP ACME")
    printed = run(
        "--csv", "-", "--senders", register, "--json", stdin=b"body,recipient\nstop,36111\nhi,\n"
    )
    assert [json.loads(line)["scope"] for line in printed.output.splitlines()] == [
        {"sender_id": "acme", "campaign_id": None, "because": "RECIPIENT"},
        None,
    ]
    register.write_text("senders: []\n")
    assert f"{register}:1: senders is no list" in refusal(run("stop", "--senders", register))


def test_it_says_what_answers_a_double_opt_in(run: Classify) -> None:
    assert "confirms yes" in run("Oui merci").output
    assert "confirms" not in run("Non merci").output


def test_the_country_counts(run: Classify) -> None:
    assert run("T", "--country", "CN").output.startswith("meaning  STOP")
    assert run("T", "--country", "US").output.startswith("meaning  NONE")


def test_json_has_every_field(run: Classify) -> None:
    printed = json.loads(run("stop promo", "--json").output)

    assert printed == {
        "meaning": "STOP",
        "why": "WHOLE",
        "explanation": "'stop' (en): the message is nothing but that, and words that change "
        "nothing",
        "keyword": "stop",
        "language": "en",
        "slip": False,
        "all": False,
        "names": "promo",
        "scope": {"sender_id": None, "campaign_id": None, "because": "NOT_SAID"},
        "confirms": False,
    }


def test_a_file_is_classified_line_by_line(run: Classify, write: Callable[[bytes], Path]) -> None:
    path = write('\ufeffcountry,Body\nCN,T\n,"Stop, thanks"\n\nUS,"two\nlines"\n'.encode())

    lines = [json.loads(line) for line in run("--csv", path, "--json").output.splitlines()]

    assert [(line["line"], line["meaning"]) for line in lines] == [
        (2, "STOP"),
        (3, "STOP"),
        (6, "NONE"),
    ]


def test_a_table_ends_with_the_sum(run: Classify, write: Callable[[bytes], Path]) -> None:
    output = run("--csv", write("body\nSTOP\n退订\nhello\n".encode())).output

    assert output.splitlines()[0].split() == ["line", "meaning", "keyword", "reply"]
    assert output.splitlines()[-1] == ("3 replies: STOP 2, START 0, HELP 0, NONE 1, UNCERTAIN 0")


def test_the_country_of_the_command_is_that_of_lines_without_one(run: Classify) -> None:
    output = run("--csv", "-", "--country", "CN", "--json", stdin=b"body,country\nT,\nT,US\n")

    assert [json.loads(line)["meaning"] for line in output.output.splitlines()] == ["STOP", "NONE"]


def test_a_reply_cannot_drive_the_terminal(run: Classify) -> None:
    output = run("--csv", "-", stdin="body\n\x1b[2Jgone\x07 \u202eabc\n".encode()).output

    assert not {"\x1b", "\x07", "\u202e"} & set(output)


def test_bytes_that_are_no_utf_8_are_no_error(run: Classify) -> None:
    assert "NONE 1" in run("--csv", "-", stdin=b"body\nArr\xeat de jeu\n").output


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "line 1: the first line must name the columns"),
        (b"secret\nSTOP\n", "line 1: the first line must name the columns"),
        (b"body\nsecret, STOP\n", "line 2: 2 fields where the first line names 1"),
        (b"body,country\nsecret\n", "line 2: 1 fields where the first line names 2"),
        (b"body,country\nsecret,China\n", "line 2: the country is no country"),
        (b'body\n"secret\n', "line 2: this is not CSV"),
        (b'body\n"secret"x\n', "line 2: this is not CSV"),
    ],
)
def test_a_mistake_in_a_file_is_told_by_its_line_only(
    run: Classify, write: Callable[[bytes], Path], content: bytes, told: str
) -> None:
    text = refusal(run("--csv", write(content)))

    assert told in text
    assert "secret" not in text


def test_a_file_that_is_not_there_is_told(run: Classify) -> None:
    assert refusal(run("--csv", "none.csv")) == (
        "none.csv cannot be read: No such file or directory."
    )


def test_other_lists_can_be_tried_and_set(
    run: Classify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "en.yaml").write_text(
        "language: en\nname: English\nsources: [a test]\nstop_words: [enough]\n", encoding="utf-8"
    )

    assert "NONE" in run("enough").output
    assert "STOP" in run("enough", "--keywords", folder).output
    monkeypatch.setenv("CONSENT_GATE_KEYWORDS_DIR", str(folder))
    assert "STOP" in run("enough").output
    (folder / "en.yaml").write_text("languag: en\n", encoding="utf-8")
    assert f"{folder}/en.yaml:1: unknown key languag" in refusal(run("enough"))


@pytest.mark.parametrize(
    "args", [(), ("stop", "--csv", "-"), ("stop", "--country", "CHN"), ("stop", "--country", "")]
)
def test_wrong_usage_ends_with_2(run: Classify, args: tuple[str, ...]) -> None:
    assert run(*args).exit_code == 2
