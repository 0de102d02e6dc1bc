"""Errors that Nginx answers itself have the shape of all errors."""

import contextlib
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from http.client import HTTPResponse
from typing import Any

import pytest
import requests

from app.core.http.headers import SECURITY
from deploy.stack import Stack
from tests.stack.conftest import ERROR


def raw(stack: Stack, sent: bytes) -> tuple[int, Message, Any]:
    """Send bytes as they are, and return status, headers and body of the answer."""
    with socket.create_connection(("127.0.0.1", stack.port), timeout=30) as connection:
        connection.sendall(sent)
        answer = HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.headers, json.load(answer)


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414, "request_uri_too_long"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX-Large: " + b"a" * 9000 + b"\r\n\r\n", 431, "malformed_request"),
        (b"POST /api/v1/files HTTP/1.1\r\nHost: h\r\nContent-Length: 10551297\r\n\r\n", 413, "payload_too_large"),
        (b"TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", 405, "method_not_allowed"),
        (b"g\x01t / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "malformed_request"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "malformed_request"),
        (b"GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n", 400, "malformed_request"),
        (b"GET / HTTP/9.9\r\nHost: h\r\n\r\n", 505, "malformed_request"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "not_implemented"),
    ],
)
def test_what_nginx_refuses_has_the_one_shape(stack: Stack, sent: bytes, status: int, code: str) -> None:
    answered, headers, body = raw(stack, sent)
    assert (answered, set(body), body["code"]) == (status, ERROR, code)
    assert headers["X-Request-ID"] == body["request_id"]
    assert SECURITY.items() <= dict(headers).items()
    assert (headers["Cache-Control"], headers["Content-Type"]) == ("no-store", "application/json")
    assert ("Allow" in headers) == (status == 405)


def test_a_problem_is_told_in_the_words_of_rfc_9457_on_request(stack: Stack) -> None:
    accepts = {"Accept": "application/problem+json", "X-Request-ID": "problem-1"}
    answer = requests.get(f"{stack.url}/metrics", headers=accepts, timeout=10)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing here.",
        "code": "not_found",
        "request_id": "problem-1",
    }


def test_json_is_held_to_its_own_limit_by_the_application(stack: Stack, member: requests.Session) -> None:
    large = b'{"title": "Large", "content": "' + b"a" * 2_000_000 + b'"}'

    def send(_number: int) -> tuple[int, str]:
        headers = {**member.headers, "Content-Type": "application/json"}
        refused = requests.post(f"{stack.url}/api/v1/posts", data=large, headers=headers, timeout=10)
        return refused.status_code, refused.json()["code"]

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, range(80))) == {(413, "payload_too_large")}


def test_a_client_that_never_ends_its_head_or_body_is_cut_off_and_holds_nobody_up(stack: Stack) -> None:
    slow = []
    head, body = b"GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n"
    for sent in (head, body):
        for _ in range(50):
            connection = socket.create_connection(("127.0.0.1", stack.port), timeout=30)
            connection.sendall(sent)
            slow.append(connection)
    assert requests.get(f"{stack.url}/api/v1/posts", timeout=10).status_code == 200
    for connection in slow:
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        connection.close()


def test_with_no_web_process_left_it_is_503_at_once_and_goes_on_by_itself(stack: Stack) -> None:
    webs = [stack.processes[name] for name in stack.web_ports]
    for web in webs:
        web.stop()
    try:
        for method in ("GET", "POST"):
            begun = time.monotonic()
            refused = requests.request(method, f"{stack.url}/api/v1/posts", timeout=10)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
            assert (set(refused.json()), refused.json()["code"]) == (ERROR, "unavailable")
            assert time.monotonic() - begun < 5
    finally:
        for web in webs:
            web.start()
    stack.wait_until_ready(stack.url)
