"""A TCP proxy between the project and a real mongod, through which a test takes the database away."""

import re
import socket
import struct
import threading
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
    outages
        Number of outages so far.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.RLock()
        self._open: list[socket.socket] = []
        self._away = False
        self._rules: list[tuple[re.Pattern[bytes], float, bool]] = []
        self._timers: list[threading.Timer] = []
        self.outages = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def go_away(self, *, seconds: float | None = None) -> None:
        """Cut every connection and refuse new ones, for so long or until `come_back`."""
        with self._lock:
            self._away = True
            self.outages += 1
            for connection in self._open:
                _abort(connection)
            self._open.clear()
            if seconds is not None:
                self._timers.append(threading.Timer(seconds, self.come_back))
                self._timers[-1].start()

    def come_back(self) -> None:
        """Pass connections on again."""
        with self._lock:
            self._away = False

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
                    if self._away:
                        _abort(client)
                        continue
                    server = socket.create_connection(("127.0.0.1", self._target))
                    self._open += [client, server]
                lost = threading.Event()
                threading.Thread(target=self._pass_requests, args=(client, server, lost), daemon=True).start()
                threading.Thread(target=self._pass_answers, args=(server, client, lost), daemon=True).start()

    def _pass_requests(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 20):
                with self._lock:
                    if self._rules and self._rules[0][0].search(data):
                        if not self._rules[0][2]:
                            self.go_away(seconds=self._rules.pop(0)[1])
                            return
                        lost.set()
                server.sendall(data)
        _abort(client)
        _abort(server)

    def _pass_answers(self, server: socket.socket, client: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 20):
                if lost.is_set():
                    with self._lock:
                        self.go_away(seconds=self._rules.pop(0)[1])
                    return
                client.sendall(data)
        _abort(client)
        _abort(server)


def _abort(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
