"""Another service, on this machine, that does whatever a test wants it to: answer, hang, drip, lie."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Behaviour = Callable[[socket.socket], None]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Hostile:
    """A server on the loopback. ``behave`` is what it does with a connection whose request it has read."""

    def __init__(self) -> None:
        self.behave: Behaviour = answers(200, b"{}")
        self.requests: list[str] = []
        self.stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads: list[threading.Thread] = []
        self._connections: list[socket.socket] = []
        self._start(self._accept)

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                request = b""
                while b"\r\n\r\n" not in request:
                    part = connection.recv(65536)
                    if not part:
                        return
                    request += part
                self.requests.append(request.decode("latin-1"))
                self.behave(connection)
            except OSError:
                return  # The client has gone, as it should.

    def stop(self) -> None:
        """Let go of every client and wait for the threads."""
        self.stopped.set()
        for open_socket in (self._listener, *self._connections):
            try:
                open_socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # It is closed already.
            finally:
                if open_socket is self._listener:
                    open_socket.close()
        for thread in self._threads:
            thread.join(10)

    def hangs(self, sent: bytes = b"") -> Behaviour:
        """Send something and then nothing any more, with the connection open."""

        def behave(connection: socket.socket) -> None:
            connection.sendall(sent)
            self.stopped.wait()

        return behave

    def drips(self, sent: bytes, drop: bytes) -> Behaviour:
        """Send something and then a drop ten times a second, for ever."""

        def behave(connection: socket.socket) -> None:
            connection.sendall(sent)
            while not self.stopped.wait(0.1):
                connection.sendall(drop)

        return behave


def sends(raw: bytes) -> Behaviour:
    """Send bytes as they are, and close."""
    return lambda connection: connection.sendall(raw)


def answers(status: int, body: bytes, *headers: str) -> Behaviour:
    """Answer as a well-behaved server does."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return sends("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def answers_json(value: Any) -> Behaviour:
    """Answer 200 with a JSON value."""
    return answers(200, json.dumps(value).encode(), "Content-Type: application/json")


def streams(size: int) -> Behaviour:
    """Send a body of ``size`` bytes, for as long as somebody reads."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(HEAD + f"Content-Length: {size}\r\n\r\n".encode())
        part, sent = b"1" * 65536, 0
        while sent < size:
            connection.sendall(part)
            sent += len(part)

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Behave differently from request to request; the last one stays."""
    left = list(behaviours)
    return lambda connection: (left.pop(0) if len(left) > 1 else left[0])(connection)


@contextmanager
def hostile_server() -> Iterator[Hostile]:
    """Run a server while a block runs."""
    server = Hostile()
    try:
        yield server
    finally:
        server.stop()


def closed_port() -> str:
    """Return an address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
