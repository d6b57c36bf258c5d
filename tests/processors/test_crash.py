"""kill -9 at any moment: no event is lost, and the state is exact."""

from __future__ import annotations

import json
import random
import time
from collections import Counter, defaultdict

import pytest

from streams.processors.state_log import Entry, key_of
from streams.topology import SMS_INBOUND, UPLOADS_COMPLETED, WORKER_STATE
from tests.gate.bed import Bed, wait_for
from tests.processors.bed import ends, working
from tests.processors.counting import counting
from tests.processors.worker_process import worker_process

pytestmark = pytest.mark.kafka

KEYS = [f"key-{n}".encode() for n in range(20)]


def written(bed: Bed) -> int:
    """How many records the agent has written; cheaper than reading them."""
    return sum(ends(bed, bed.settings.names.of(UPLOADS_COMPLETED)).values())


@pytest.mark.slow
def test_killed_again_and_again_it_loses_nothing_and_counts_exactly(bed: Bed) -> None:
    topic = bed.settings.names.of(SMS_INBOUND)
    choose = random.Random(4)
    sent: dict[bytes, list[str]] = defaultdict(list)

    def send(count: int) -> None:
        for _ in range(count):
            key = choose.choice(KEYS)
            text = f"{key.decode()}/{len(sent[key])}"
            sent[key].append(text)
            bed.write(topic, key, text.encode(), bed.partition(key.decode()))
        bed.flush()

    send(2_000)
    for _ in range(3):
        before = written(bed)
        with worker_process(bed) as process:
            wait_for(lambda: written(bed) > before, 60)  # noqa: B023
            send(1_000)
            time.sleep(choose.uniform(0, 0.3))  # the moment of the kill is the test's subject
            process.kill()
    total = sum(map(len, sent.values()))
    with working(bed, counting) as worker:
        worker.until(lambda: len(set(outputs(bed))) == total)

    # Written twice is allowed, but never with another count: the state was exact each time.
    found = set(outputs(bed))
    assert len(found) == total
    assert dict(found) == {
        text: n for texts in sent.values() for n, text in enumerate(texts, start=1)
    }


def outputs(bed: Bed) -> list[tuple[str, int]]:
    """What was passed on, with the count that it came to."""
    found = bed.read(bed.settings.names.of(UPLOADS_COMPLETED))
    pairs = [(message.value() or b"").decode().split("=") for message in found]
    return [(text, int(count)) for text, count in pairs]


def test_a_killed_worker_s_successor_need_not_wait_for_its_session(bed: Bed) -> None:
    topic = bed.settings.names.of(SMS_INBOUND)
    bed.write(topic, b"key", b"a", 0)
    bed.flush()
    with worker_process(bed, session_timeout_ms=200_000) as process:
        wait_for(lambda: written(bed) == 1)
        process.kill()
        process.wait(60)
    bed.write(topic, b"key", b"b", 0)
    bed.flush()
    began = time.monotonic()
    with working(bed, counting, session_timeout_ms=200_000) as worker:
        worker.until(lambda: ("b", 2) in outputs(bed))
    assert time.monotonic() - began < 100, "it waited for the dead one's session"


def test_a_batch_cut_off_in_the_middle_of_its_state_is_undone(bed: Bed) -> None:
    topic = bed.settings.names.of(SMS_INBOUND)
    state = bed.settings.names.of(WORKER_STATE)
    key = b"key".hex()
    for text in (b"a", b"b"):
        bed.write(topic, b"key", text, 0)
    bed.flush()
    with working(bed, counting) as worker:
        worker.until(lambda: worker.handled("counting") == 2)
    # As if the next batch had counted "c" and then died before its mark.
    found = [m.value() for m in bed.read(state) if m.key() == key_of("counting", "")]
    batch = json.loads(found[-1] or b"")["batch"] + 1
    bed.write(state, key_of("counting", key), Entry(batch, b"3", b"2").framed(), 0)
    bed.write(topic, b"key", b"c", 0)
    bed.flush()

    with working(bed, counting) as worker:
        worker.until(lambda: worker.handled("counting") == 1)

    assert Counter(outputs(bed)) == Counter({("a", 1): 1, ("b", 2): 1, ("c", 3): 1})
