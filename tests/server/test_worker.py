"""A real Gunicorn under slow clients, and without its master. None of this needs a database."""

import json
import os
import signal
import socket
import time
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.server.arrival import Arrival, Limits, RequestReader
from tests.test_running import Checkout, checkout
from tests.waiting import until

__all__ = ["checkout"]

READ_TIMEOUT = 3  # seconds
HEAD = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
SLOW = {
    "head": b"GET / HTTP/1.1\r\nHost: x\r\n",
    "body": HEAD + b"Content-Length: 100\r\n\r\n{",
    "large body": HEAD + b"Content-Length: 100000\r\n\r\n" + b" " * 70_000,
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n",
    "expected body": HEAD + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n",
}


def connected(checkout: Checkout, stack: ExitStack) -> socket.socket:
    return stack.enter_context(closing(socket.create_connection(("127.0.0.1", checkout.port), timeout=30)))


def answer(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Read until the server closes, and return the status and body of the final answer."""
    received = b""
    while part := connection.recv(65536):
        received += part
    head, _, body = received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), json.loads(body)


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
def test_slow_clients_are_told_so_and_hold_nobody_up(checkout: Checkout, sent: bytes) -> None:
    process = checkout.serve(WEB_THREADS="2", READ_TIMEOUT=str(READ_TIMEOUT))
    with ExitStack() as stack:
        slow = [connected(checkout, stack) for _ in range(8)]
        for connection in slow:
            connection.sendall(sent)
        until(lambda: checkout.get("/health") and checkout.get("/openapi.json"))
        answers = [answer(connection) for connection in slow]
        told = {(status, body["code"]) for status, body in answers}
        assert (408, "request_timeout") in told
        assert told <= {(408, "request_timeout"), (503, "unavailable")}  # Of large ones, not all are let begin.
        assert all(set(body) == {"error", "message", "code", "request_id"} for _, body in answers)
    checkout.stop(process)


def test_who_drips_byte_by_byte_is_told_so(checkout: Checkout) -> None:
    process = checkout.serve(READ_TIMEOUT=str(READ_TIMEOUT))
    with ExitStack() as stack:
        slow = connected(checkout, stack)
        slow.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        slow.settimeout(0.2)
        received = b""
        for _ in range(200):
            try:
                slow.sendall(b" ")
                received += slow.recv(65536)
            except TimeoutError:
                continue
            break
        assert received.startswith(b"HTTP/1.1 408 ")
    checkout.stop(process)


def test_who_does_not_read_the_answers_holds_no_thread_for_ever(checkout: Checkout) -> None:
    process = checkout.serve(WEB_THREADS="2", READ_TIMEOUT=str(READ_TIMEOUT))
    with ExitStack() as stack:
        for _ in range(4):
            connected(checkout, stack).sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        until(lambda: "has not taken its answer" in checkout.log.read_text())
        until(lambda: is_served(checkout, "/openapi.json"))
    checkout.stop(process)


def test_clients_that_do_not_close_their_end_hold_nobody_up(checkout: Checkout) -> None:
    process = checkout.serve()
    with ExitStack() as stack:
        for _ in range(20):
            connected(checkout, stack).sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert checkout.get("/health")  # within its ten seconds
    checkout.stop(process)


def is_served(checkout: Checkout, path: str) -> bool:
    try:
        return bool(checkout.get(path))
    except OSError:
        return False


def test_a_request_in_pieces_and_several_at_once_are_answered(checkout: Checkout) -> None:
    process = checkout.serve()
    request = HEAD + b"Content-Length: 2\r\n\r\n{}"
    with ExitStack() as stack:
        connection = connected(checkout, stack)
        for at in range(0, len(request), 7):
            connection.sendall(request[at : at + 7])
            time.sleep(0.01)
        connection.sendall(request * 2 + HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
        received = b""
        while part := connection.recv(65536):
            received += part
        assert received.count(b"HTTP/1.1 400 ") == 4
    checkout.stop(process)


@pytest.mark.parametrize(("version", "status"), [(b"HTTP/1.1", 400), (b"HTTP/1.0", 200)])
def test_a_request_names_its_host_from_http_1_1_on(checkout: Checkout, version: bytes, status: int) -> None:
    process = checkout.serve()
    with ExitStack() as stack:
        connection = connected(checkout, stack)
        connection.sendall(b"GET /health " + version + b"\r\nConnection: close\r\n\r\n")
        answered, body = answer(connection)
    assert answered == status
    assert status == 200 or body["code"] == "malformed_request"
    checkout.stop(process)


def test_without_their_master_workers_free_the_port_and_end_though_they_are_busy(checkout: Checkout) -> None:
    process = checkout.serve(WEB_CONCURRENCY="2")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until(lambda: len(children.read_text().split()) == 2)
    workers = [int(pid) for pid in children.read_text().split()]
    with ExitStack() as stack:
        busy = connected(checkout, stack)
        busy.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")  # A thread waits for the body.
        assert busy.recv(100).startswith(b"HTTP/1.1 100 ")
        process.send_signal(signal.SIGKILL)
        process.wait()
        until(lambda: is_refused(checkout.port), within=8)
        busy.sendall(b"{}")
        assert answer(busy)[0] == 400
    until(lambda: not any(is_running(pid) for pid in workers), within=20)


def is_refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] != "Z"


@pytest.mark.parametrize(
    ("line", "arrival"),
    [
        (b"GET /api/v1/posts HTTP/1.1", Arrival.READ),
        (b"GET /api/v1/posts?q=a+b HTTP/1.1", Arrival.SEARCH),
        (b"GET /api/v1/posts?page=2&q=a HTTP/1.1", Arrival.SEARCH),
        (b"GET /api/v1/posts?%71=a HTTP/1.1", Arrival.SEARCH),
        (b"GET /api/v1/posts?seq=a HTTP/1.1", Arrival.READ),
        (b"OPTIONS /api/v1/posts HTTP/1.1", Arrival.READ),
        (b"PATCH /api/v1/posts/1?q=a HTTP/1.1", Arrival.WRITE),
        (b"post /api/v1/posts HTTP/1.1", Arrival.WRITE),
        (b"HEAD /health HTTP/1.1", Arrival.HEALTH),
        (b"GET /health/ready HTTP/1.1", Arrival.READ),
        (b"\x16\x03\x01", Arrival.READ),
    ],
)
def test_what_may_take_long_is_told_from_all_else_by_its_first_line(line: bytes, arrival: Arrival) -> None:
    client, server = socket.socketpair()
    with client, server:
        client.sendall(line + b"\r\nHost: x\r\n\r\n")
        reader = RequestReader(SimpleNamespace(sock=server), Limits(5, 5, 100), time.monotonic)
        assert reader.receive() is arrival
