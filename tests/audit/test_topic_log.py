"""What an audit says when it cannot read."""

from __future__ import annotations

import pytest

from streams.audit import topic_log
from streams.audit.topic_log import TopicLog
from streams.config import Settings
from streams.errors import KafkaUnavailable
from streams.topology import SMS_DECISIONS

NOBODY_LISTENS = "127.0.0.1:1"


def test_it_says_which_broker_does_not_answer_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_log, "_ANSWER_WITHIN_SECONDS", 3.0)
    with (
        TopicLog(Settings(bootstrap_servers=NOBODY_LISTENS)) as log,
        pytest.raises(KafkaUnavailable, match=f"{NOBODY_LISTENS}.*Connection refused"),
    ):
        log.partitions(SMS_DECISIONS)
