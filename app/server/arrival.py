"""How the requests of a connection arrive: collected without a thread, and in a limited time."""

import enum
import re
import select
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

from gunicorn.http.unreader import SocketUnreader

from app.core.errors import RequestTimeout

BUFFER_SIZE = 65_536  # bytes of a request that are collected before a thread takes it
BODY_BYTES_PER_SECOND = 32_768  # each of which gives the rest of a request as long as it has taken at this rate
HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,15})")
HEALTH = re.compile(rb"(get|head) /health/?[? ]")
WRITE = re.compile(rb"(post|put|patch|delete) ")
SEARCH = re.compile(rb"get [^ ]*[?&](q|%71)=")


class Arrival(enum.Enum):
    """How much of a request is there."""

    PARTIAL = enum.auto()
    READ = enum.auto()  # whole, of a method that changes nothing, or of none at all
    WRITE = enum.auto()  # whole, of a method that may wait for locks
    SEARCH = enum.auto()  # whole, and a search, which may read all texts
    HEALTH = enum.auto()  # whole, and nothing but the question whether the process is alive
    LARGE = enum.auto()  # more than is collected; the thread that takes it reads the rest


class Limits(NamedTuple):
    """What the server is told by the settings."""

    lock_timeout: int  # seconds
    read_timeout: int  # seconds
    max_body: int  # bytes


class RequestReader(SocketUnreader):  # type: ignore[misc]
    """What Gunicorn's parser reads a connection's requests from.

    The main thread collects, without waiting, until a request is whole, so that a client that sends slowly holds no
    thread; the rest of a large one is waited for. A request has ``read_timeout`` seconds from its first byte, and one
    more for each ``BODY_BYTES_PER_SECOND`` that have arrived; after them RequestTimeout is raised. ``clock`` returns
    seconds, without those for which the process was frozen.
    """

    def __init__(self, conn: Any, limits: Limits, clock: Callable[[], float]) -> None:
        super().__init__(conn.sock)
        self.conn = conn
        self.read_timeout = limits.read_timeout
        self.clock = clock
        self.begun: float | None = None
        self.received = 0  # bytes of the present request

    @property
    def deadline(self) -> float:
        """Return when, by the clock, all of the request has to be there."""
        begun = self.clock() if self.begun is None else self.begun
        return begun + self.read_timeout + self.received / BODY_BYTES_PER_SECOND

    def receive(self) -> Arrival:
        """Collect what is there, without waiting, and return how much of a request that is.

        The end of a connection counts as a request that reads: the thread that takes it finds out.
        """
        try:
            data = self.sock.recv(BUFFER_SIZE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return self._arrival()
        except OSError:
            return Arrival.READ
        if not data:
            return Arrival.READ
        self._count(data)
        self.buf.seek(0, 2)
        self.buf.write(data)
        return self._arrival()

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return the next bytes, as soon as there are some. Raises RequestTimeout."""
        size = max(self.mxchunk, min(size_hint or 0, self.max_body_chunk))
        while True:
            try:
                data: bytes = self.sock.recv(size, socket.MSG_DONTWAIT)
            except BlockingIOError:
                self._wait()
            else:
                self._count(data)
                return data

    def extend(self, seconds: float) -> None:
        """Do not count ``seconds`` in which nobody has read."""
        if self.begun is not None:
            self.begun += seconds

    def finish(self) -> None:
        """End the present request; what has arrived beyond it is the beginning of the next."""
        self.received = len(self.buf.getvalue())
        self.begun = self.clock() if self.received else None

    def _count(self, data: bytes) -> None:
        if self.begun is None:
            self.begun = self.clock()
        self.received += len(data)

    def _wait(self) -> None:
        seconds = self.deadline - self.clock()
        if seconds <= 0:
            if self.conn.parser.mesg:
                self.conn.parser.mesg.force_close()
            raise RequestTimeout
        poller = select.poll()
        poller.register(self.sock, select.POLLIN)
        poller.poll(seconds * 1000)

    def _arrival(self) -> Arrival:
        received = self.buf.getvalue()
        head, end, body = received.partition(HEAD_END)
        is_large = len(received) >= BUFFER_SIZE
        if not end:
            return Arrival.LARGE if is_large else Arrival.PARTIAL
        head = head.lower()
        if b"\r\nexpect:" in head:
            return Arrival.LARGE
        if b"\r\ntransfer-encoding:" in head:
            is_whole = body.endswith(HEAD_END)  # where the last chunk ends, and seldom another one
        else:
            length = LENGTH.search(head)
            is_whole = length is None or len(body) >= int(length[1])
        if not is_whole:
            return Arrival.LARGE if is_large else Arrival.PARTIAL
        if WRITE.match(head):
            return Arrival.WRITE
        if SEARCH.match(head):
            return Arrival.SEARCH
        return Arrival.HEALTH if HEALTH.match(head) else Arrival.READ
