"""SIGHUP: another policy decides from then on; what was decided before keeps its version."""

from __future__ import annotations

import shutil
import signal
import urllib.request
from pathlib import Path

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.policy.policy import load_policy
from streams.records.decisions import Outcome
from streams.testing.records import a_consent_event, a_number, an_sms_requested
from tests.gate.bed import Bed, now_ms, wait_for
from tests.gate.command import GateCommand, gate_command

pytestmark = pytest.mark.kafka

CONSENTING = a_number(1)

NO_MORE_MARKETING = """\
rules:
  - id: no-more-marketing
    text: For a while nothing is advertised.
    when: purpose == Purpose.MARKETING
    then: drop
    reason: NO_CONSENT
    cites: [A decision of the management]
"""


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    return Bed(kafka.bootstrap_servers, topic_prefix, tmp_path)


def change(folder: Path, old: str, new: str) -> None:
    manifest = folder / "policy.yaml"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new))


def metrics(command: GateCommand) -> str:
    url = next(word for word in command.said.split() if word.startswith("http://"))
    with urllib.request.urlopen(url.rstrip(",")) as answer:
        return answer.read().decode()


def test_a_new_policy_decides_after_sighup_and_a_bad_one_never_does(bed: Bed) -> None:
    folder = bed.folder / "policy"
    shutil.copytree(bed.settings.policy_dir, folder)
    first = load_policy(folder).version

    def ask(request_id: str) -> None:
        bed.request(an_sms_requested(request_id=request_id, recipient=CONSENTING, valid_until=None))
        bed.flush()

    bed.consent(a_consent_event(subject=CONSENTING, occurred_at=now_ms() - 1000))
    bed.flush()
    ask("under the first")
    with gate_command(bed, "gate-1", policy_dir=folder) as command:
        bed.decided(1)

        command.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "policy_unchanged" in command.said, what="to hear that nothing changed")

        (folder / "pause.yaml").write_text(NO_MORE_MARKETING)
        change(folder, "rules:\n", "rules:\n  - pause.yaml\n")
        second = load_policy(folder).version
        command.process.send_signal(signal.SIGHUP)
        wait_for(lambda: second in metrics(command), what="for the second version")
        ask("under the second")
        bed.decided(2)

        change(folder, "  - person.yaml\n", "")  # the file is there, but is not listed
        command.process.send_signal(signal.SIGHUP)
        wait_for(
            lambda: "consent_gate_policy_refusals_total 1.0" in metrics(command),
            what="for the refusal",
        )
        assert f'consent_gate_policy_info{{version="{second}"}} 1.0' in metrics(command)
        ask("after the refusal")
        decided = bed.decided(3)
    assert "person.yaml" in command.said, "which file is wrong is told"

    assert {request_id: d.policy_version for request_id, d in decided.items()} == {
        "under the first": first,
        "under the second": second,
        "after the refusal": second,
    }
    assert decided["under the first"].verdict is Outcome.ALLOWED
    assert decided["under the second"].verdict is Outcome.DROPPED
    assert decided["after the refusal"].verdict is Outcome.DROPPED

    archived = {
        record.version: record.files
        for record in (
            bed.codecs.policies.decode(message.value()) for message in bed.read(bed.topics.policies)
        )
    }
    assert archived.keys() == {first, second}
    assert "pause.yaml" not in archived[first]
    assert archived[second]["pause.yaml"] == NO_MORE_MARKETING
