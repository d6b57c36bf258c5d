"""One broker's process, with a harmless command in place of the JVM."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from streams.broker.broker_process import BrokerProcess
from streams.broker.server_properties import BrokerAddress
from tests.broker.waiting import eventually, is_gone


class DiesSlowly(BrokerProcess):
    """A broker that a busy machine takes half a second to kill."""

    def send(self, number: signal.Signals) -> None:
        if number is signal.SIGKILL:
            threading.Timer(0.5, super().send, (number,)).start()
        else:
            super().send(number)


def test_a_broker_stopped_by_force_leaves_the_data_of_the_others(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\ntrap '' TERM\necho ready\nwhile :; do sleep 0.1; done\n")
    java.chmod(0o755)
    cluster = tmp_path / "cluster"
    own, of_another = cluster / "broker-1", cluster / "broker-2"
    of_another.mkdir(parents=True)
    broker = DiesSlowly(
        java, [], BrokerAddress(1, 9092, 9093), {"log.dirs": str(own)}, own, cluster
    )
    broker.start()
    pid = broker.pid
    assert pid is not None
    eventually(lambda: "ready" in broker.log_path.read_text(), 60, "it ignores SIGTERM")

    broker.send(signal.SIGTERM)
    broker.await_end(0.1)

    assert is_gone(pid)
    assert of_another.exists()
