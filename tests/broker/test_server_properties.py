from __future__ import annotations

from pathlib import Path

from streams.broker.server_properties import BrokerAddress, properties_text, server_properties

ONE = BrokerAddress(node_id=1, port=9092, controller_port=20_001)
TWO = BrokerAddress(node_id=2, port=9093, controller_port=20_002)
THREE = BrokerAddress(node_id=3, port=9094, controller_port=20_003)


def test_one_broker_replicates_nothing() -> None:
    properties = server_properties(ONE, [ONE], Path("/data"), {})

    replication = {key: properties[key] for key in properties if "replication.factor" in key}
    assert set(replication.values()) == {"1"}
    assert properties["min.insync.replicas"] == "1"


def test_three_brokers_replicate_all_and_know_each_other() -> None:
    properties = server_properties(TWO, [ONE, TWO, THREE], Path("/data"), {})

    replication = {key: properties[key] for key in properties if "replication.factor" in key}
    assert set(replication.values()) == {"3"}
    assert properties["min.insync.replicas"] == "2"
    assert properties["transaction.state.log.min.isr"] == "2"
    assert properties["node.id"] == "2"
    assert properties["controller.quorum.voters"] == (
        "1@127.0.0.1:20001,2@127.0.0.1:20002,3@127.0.0.1:20003"
    )


def test_listens_on_loopback_only() -> None:
    properties = server_properties(ONE, [ONE], Path("/data"), {})

    listeners = properties["listeners"] + "," + properties["advertised.listeners"]
    assert all("://127.0.0.1:" in listener for listener in listeners.split(","))


def test_settings_of_the_caller_win() -> None:
    properties = server_properties(ONE, [ONE], Path("/data"), {"message.max.bytes": "7"})

    assert properties["message.max.bytes"] == "7"


def test_text_survives_what_java_does_to_it() -> None:
    text = properties_text({"log.dirs": "/tmp/数据 1/a=b\\c:😀"})

    assert text == "log.dirs=/tmp/\\u6570\\u636e\\ 1/a\\=b\\\\c\\:\\ud83d\\ude00\n"
