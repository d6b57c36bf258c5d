"""
A wire between clients and a broker that loses some answers, or holds some requests back.

The broker talks to itself through it as well, where it is what the broker advertises.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from streams.broker.cluster import EmbeddedKafka
from streams.broker.ports import free_ports

END_TXN = 26
"""Kafka's number of the request that commits or aborts a transaction."""

INIT_PRODUCER_ID = 22
"""Kafka's number of the request by which a transactional producer begins."""

WRITE_TXN_MARKERS = 27
"""Kafka's number of the request by which a coordinator makes a decided transaction visible."""

OFFSET_FETCH = 9
"""Kafka's number of the request for what a group has committed."""


class LossyWire:
    """
    Listens on ``port`` and passes everything on to the broker at ``upstream``, both on loopback.

    After :meth:`lose_commit_answers` every request still arrives, but a connection that carries an
    EndTxn is deaf from then on: its client hears nothing more. The next InitProducerId ends that.

    Between :meth:`hold` and :meth:`lose_held` no request of one kind arrives. While WriteTxnMarkers
    are held, what is committed is certain, and not to be seen.
    """

    def __init__(self, port: int, upstream: int) -> None:
        self._upstream = upstream
        self._losing: bytes | None = None
        self.lost = 0
        """How many EndTxn requests went through whose answer did not come back."""
        self._free = threading.Event()
        self._free.set()
        self._holding: int | None = None
        self.held = 0
        """How many requests were held back."""
        self._listener = socket.create_server(("127.0.0.1", port))
        self._sockets: list[socket.socket] = [self._listener]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def lose_commit_answers(self, of: str = "") -> None:
        """
        Lose the answer to the next EndTxn, and to each that follows on a new connection.

        Only to those of a ``transactional.id`` that contains ``of``.
        """
        self._losing = of.encode()

    def hold(self, number: int) -> None:
        """From now on let no request of this number through."""
        self._holding = number
        self._free.clear()

    def lose_held(self) -> None:
        """
        Hang up on what was held, and let the next ones through.

        A coordinator then sends again the markers that were lost, with all that are due by then.
        """
        self._free.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._free.set()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            self._sockets.append(client)
            try:
                broker = socket.create_connection(("127.0.0.1", self._upstream))
            except OSError:
                client.close()  # the broker is not up yet, or no more
                continue
            self._sockets.append(broker)
            deaf = threading.Event()
            for pump in (
                threading.Thread(target=self._requests, args=(client, broker, deaf), daemon=True),
                threading.Thread(target=self._answers, args=(broker, client, deaf), daemon=True),
            ):
                self._threads.append(pump)
                pump.start()

    def _requests(
        self, client: socket.socket, broker: socket.socket, deaf: threading.Event
    ) -> None:
        """Pass requests on one by one: a length of four bytes, then the request's number in two."""
        with suppress(OSError), client.makefile("rb") as stream:
            while len(head := stream.read(4)) == 4:
                request = stream.read(struct.unpack(">i", head)[0])
                number = struct.unpack_from(">h", request)[0]
                if number == INIT_PRODUCER_ID:
                    self._losing = None
                elif number == self._holding and not self._free.is_set():
                    self.held += 1
                    self._free.wait()
                    break
                elif number == END_TXN and self._losing is not None and self._losing in request:
                    self.lost += 1
                    deaf.set()  # before the broker can answer
                broker.sendall(head + request)
        _hang_up(broker)

    def _answers(self, broker: socket.socket, client: socket.socket, deaf: threading.Event) -> None:
        with suppress(OSError):
            while piece := broker.recv(65536):
                if not deaf.is_set():
                    client.sendall(piece)
        _hang_up(client)


@contextmanager
def wired_kafka() -> Iterator[tuple[EmbeddedKafka, LossyWire]]:
    """A broker that clients, and itself, reach through a wire."""
    wire_port, broker_port = free_ports(2)
    kafka = EmbeddedKafka(
        port=broker_port,
        settings={"advertised.listeners": f"PLAINTEXT://127.0.0.1:{wire_port}"},
    )
    with LossyWire(wire_port, broker_port) as wire, kafka:
        yield kafka, wire


def _hang_up(other: socket.socket) -> None:
    with suppress(OSError):
        other.shutdown(socket.SHUT_RDWR)
