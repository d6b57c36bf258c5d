"""Topics that a test makes by hand: waiting until they can be used."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.gate.bed import wait_for


def until_led(admin: AdminClient, topics: Mapping[str, int]) -> None:
    """
    Wait until the leader of every partition of new topics (name: how many) answers.

    A broker says that a topic was created before it leads: who asks it just then is refused, and a
    busy machine makes a second of that moment.
    """
    asked = {
        TopicPartition(name, number): OffsetSpec.latest()
        for name, count in topics.items()
        for number in range(count)
    }

    def led() -> bool:
        try:
            for answer in admin.list_offsets(asked, request_timeout=10).values():
                answer.result()
        except KafkaException:
            return False
        return True

    wait_for(led, what="for the leaders of new topics")
