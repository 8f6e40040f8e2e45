"""A TCP proxy between the project and a real mongod, through which a test takes the database away or disturbs it."""

import re
import socket
import struct
import threading
import time
from contextlib import suppress

_LINGER = struct.pack("ii", 1, 0)


def command(name: str, collection: str) -> bytes:
    """Pattern of a MongoDB command on a collection, as it goes over the wire."""
    return rb"\x02%s\x00.{4}%s\x00" % (name.encode(), collection.encode())


class DatabaseProxy:
    """Passes connections on to a port of this machine, until it is told not to.

    Attributes
    ----------
    port
        Where it listens.
    outages, cuts
        Outages so far; connections cut so far before an answer came back.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.RLock()
        self._open: set[socket.socket] = set()
        self._away, self._silent, self._delay_s, self._to_cut = False, False, 0.0, 0
        self._rules: list[tuple[re.Pattern[bytes], float, bool]] = []
        self._timers: list[threading.Timer] = []
        self.outages, self.cuts = 0, 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def go_away(self, *, seconds: float | None = None) -> None:
        """Cut every connection and refuse new ones, for so long or until `come_back`."""
        with self._lock:
            self._away = True
            self.outages += 1
            self.cut_connections()
            if seconds is not None:
                self._timers.append(threading.Timer(seconds, self.come_back))
                self._timers[-1].start()

    def come_back(self) -> None:
        """Pass everything on again, without delay; rules that wait for their request stay."""
        with self._lock:
            self._away, self._silent, self._delay_s, self._to_cut = False, False, 0.0, 0

    def cut_connections(self) -> None:
        """Cut every connection once."""
        with self._lock:
            for connection in self._open:
                _abort(connection)
            self._open.clear()

    def stall(self) -> None:
        """Keep every connection open and let nothing through, until `come_back`."""
        self._silent = True

    def delay(self, seconds: float) -> None:
        """Let every request and every answer wait, until `come_back`."""
        self._delay_s = seconds

    def cut_answers(self, number: int) -> None:
        """Let that many of the next requests through and cut their connections before the answer."""
        with self._lock:
            self._to_cut = number

    def go_away_at(self, pattern: bytes, *, seconds: float, after: bool = False) -> None:
        """Go away, once, when a request matches; a later rule waits for the earlier ones.

        Parameters
        ----------
        after
            The request is answered, and it is the answer that gets lost.
        """
        with self._lock:
            self._rules.append((re.compile(pattern, re.DOTALL), seconds, after))

    @property
    def is_done(self) -> bool:
        """Whether every rule has been met."""
        return not self._rules

    def close(self) -> None:
        """End it."""
        for timer in self._timers:
            timer.cancel()
        self.go_away()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                with self._lock:
                    server = None if self._away else self._connect()
                    if server is None:
                        _abort(client)
                        continue
                    self._open |= {client, server}
                lost, cut = threading.Event(), threading.Event()
                for function, come_from, go_to in (
                    (self._pass_requests, client, server),
                    (self._pass_answers, server, client),
                ):
                    threading.Thread(target=function, args=(come_from, go_to, lost, cut), daemon=True).start()

    def _connect(self) -> socket.socket | None:
        try:
            return socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            return None

    def _pass_requests(
        self, client: socket.socket, server: socket.socket, lost: threading.Event, cut: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := self._receive(client):
                with self._lock:
                    if self._rules and self._rules[0][0].search(data):
                        if not self._rules[0][2]:
                            self.go_away(seconds=self._rules.pop(0)[1])
                            return
                        lost.set()
                    elif self._to_cut > 0:
                        self._to_cut -= 1
                        cut.set()
                server.sendall(data)
        self._close_both(client, server)

    def _pass_answers(
        self, server: socket.socket, client: socket.socket, lost: threading.Event, cut: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := self._receive(server):
                with self._lock:
                    if lost.is_set():
                        self.go_away(seconds=self._rules.pop(0)[1])
                        return
                    if cut.is_set():
                        self.cuts += 1
                        break
                client.sendall(data)
        self._close_both(client, server)

    def _receive(self, connection: socket.socket) -> bytes:
        data = connection.recv(1 << 20)
        while self._silent:
            time.sleep(0.1)
        if self._delay_s:
            time.sleep(self._delay_s)
        return data

    def _close_both(self, client: socket.socket, server: socket.socket) -> None:
        # half a connection would leave the other side waiting for ever
        with self._lock:
            self._open -= {client, server}
        _abort(client)
        _abort(server)


def _abort(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
