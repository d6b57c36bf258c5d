from __future__ import annotations

import socket

import pytest

from streams.broker.ports import free_ports, is_taken


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_listener_takes_its_port(host: str) -> None:
    with socket.create_server((host, 0)) as listener:
        port = listener.getsockname()[1]
        assert is_taken(port)
    assert not is_taken(port)


def test_free_ports_differ_from_each_other_and_from_those_named() -> None:
    first = free_ports(3)
    second = free_ports(3, but_not=first)

    assert len({*first, *second}) == 6
