"""The load: a fixed number of kept-alive HTTP/1.1 connections, each with one request under way.

Runs in a process of its own, so that neither its time nor its memory is counted: ``drive`` starts one and gives what it
has seen. It knows as much of HTTP as the contenders' answers need: Content-Length, and Connection: close.
"""

import itertools
import json
import random
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
KEY = b"{key}"  # becomes something new in each request
SILENCE = 60  # seconds without any answer, after which the rest counts as failed


@dataclass(frozen=True)
class Load:
    """What to send: requests in turn, for so many seconds or, if given, so many times."""

    port: int
    requests: list[str]
    seconds: float = 0.0
    count: int = 0
    connections: int = 8


@dataclass(frozen=True)
class Seen:
    """What came back: how many answers of each status, in how many seconds, and latencies in milliseconds."""

    statuses: dict[str, int]
    seconds: float
    p50: float
    p99: float
    longest: float
    retry_after: int

    @property
    def requests(self) -> int:
        """How many there were."""
        return sum(self.statuses.values())


class Line:
    """One connection: opened when it is needed, and again when the server has closed it."""

    def __init__(self, port: int, selector: selectors.BaseSelector) -> None:
        self.port, self.selector = port, selector
        self.socket: socket.socket | None = None

    def send(self, request: bytes) -> None:
        """Send a request."""
        self.request, self.answer, self.end = request, b"", -1
        self.began = time.perf_counter()
        self.used = self.socket is not None
        self._transmit()

    def _transmit(self) -> None:
        if self.socket is None:
            self.socket = socket.create_connection((HOST, self.port))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.selector.register(self.socket, selectors.EVENT_READ, self)
        try:
            self.socket.sendall(self.request)
        except OSError:
            self.close()
            self._transmit()

    def close(self) -> None:
        """Close the connection."""
        if self.socket is not None:
            self.selector.unregister(self.socket)
            self.socket.close()
            self.socket = None

    def receive(self) -> bytes | None:
        """Take what has come. Give the head of the answer when it is whole, empty when the server broke off."""
        assert self.socket is not None
        try:
            part = self.socket.recv(65536)
        except ConnectionError:
            part = b""
        if not part:
            self.close()
            if self.used and not self.answer:  # It was closed before this request came, as a server may.
                self.used = False
                self._transmit()
                return None
            return b"HTTP/1.1 000 "
        self.answer += part
        if self.end < 0:
            if (head := self.answer.find(b"\r\n\r\n")) < 0:
                return None
            self.head = self.answer[:head].lower()
            self.end = head + 4 + int((self.head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]) or 0)
        if len(self.answer) < self.end:
            return None
        if b"\r\nconnection: close" in self.head:
            self.close()
        return self.head


def _answers(selector: selectors.BaseSelector) -> Iterator[tuple[Line, bytes]]:
    """Return each line whose answer is whole, with the answer's head, until there is silence."""
    while ready := selector.select(SILENCE):
        for key, _ in ready:
            line: Line = key.data
            if (head := line.receive()) is not None:
                yield line, head


def run(load: Load) -> Seen:
    """Send the load, and return what came back."""
    selector = selectors.DefaultSelector()
    requests = itertools.cycle([request.encode() for request in load.requests])
    statuses: Counter[str] = Counter()
    latencies: list[float] = []
    retry_after = 0
    begin = time.perf_counter()
    deadline = begin + load.seconds

    def more(sent: int) -> bool:
        return sent < load.count if load.count else time.perf_counter() < deadline

    def next_request() -> bytes:
        return next(requests).replace(KEY, b"%032x" % random.getrandbits(128))

    sent = under_way = load.connections
    for _ in range(load.connections):
        Line(load.port, selector).send(next_request())
    for line, head in _answers(selector):
        latencies.append((time.perf_counter() - line.began) * 1000)
        statuses[head[9:12].decode()] += 1
        retry_after += b"\r\nretry-after:" in head
        if more(sent):
            sent += 1
            line.send(next_request())
            continue
        line.close()
        under_way -= 1
        if not under_way:
            break
    if under_way:
        statuses["silence"] += under_way
    seconds = time.perf_counter() - begin
    latencies.sort()
    p50, p99, longest = (latencies[min(int(len(latencies) * part), len(latencies) - 1)] for part in (0.5, 0.99, 1))
    return Seen(dict(statuses), seconds, p50, p99, longest, retry_after)


def drive(load: Load) -> Seen:
    """Send the load from a process of its own."""
    told = subprocess.run(
        [sys.executable, "-m", "bench.client"],
        input=json.dumps(asdict(load)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    seen: dict[str, Any] = json.loads(told.stdout)
    return Seen(**seen)


if __name__ == "__main__":
    print(json.dumps(asdict(run(Load(**json.load(sys.stdin))))))
