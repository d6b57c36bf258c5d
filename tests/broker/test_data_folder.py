from __future__ import annotations

from pathlib import Path

import pytest

from streams.broker.data_folder import claimed
from streams.errors import EmbeddedBrokerError


def test_a_second_start_finds_the_same_cluster(tmp_path: Path) -> None:
    first = claimed(tmp_path / "data", "4.4.0", 1)

    assert claimed(tmp_path / "data", "4.4.0", 1) == first
    assert len(first.cluster_id) == 22


def test_another_version_is_refused(tmp_path: Path) -> None:
    claimed(tmp_path, "4.3.0", 1)

    with pytest.raises(EmbeddedBrokerError, match=r"by Kafka 4\.3\.0; this is Kafka 4\.4\.0"):
        claimed(tmp_path, "4.4.0", 1)


def test_another_number_of_brokers_is_refused(tmp_path: Path) -> None:
    claimed(tmp_path, "4.4.0", 3)

    with pytest.raises(EmbeddedBrokerError, match=r"cluster of 3 broker\(s\), not of 1"):
        claimed(tmp_path, "4.4.0", 1)


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()

    with pytest.raises(EmbeddedBrokerError, match="Name an empty folder"):
        claimed(tmp_path, "4.4.0", 1)

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_marker_that_cannot_be_read_is_a_clear_error(tmp_path: Path) -> None:
    claimed(tmp_path, "4.4.0", 1)
    (tmp_path / "embedded-kafka.json").write_text("{")

    with pytest.raises(EmbeddedBrokerError, match="cannot be read"):
        claimed(tmp_path, "4.4.0", 1)
