"""Outgoing calls: whatever another service does, a call ends soon, with an answer or a reason."""

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from flask import Flask

from app.core.clients import http_client
from app.core.clients.http_client import MAX_BYTES, Answer, OutgoingError, Service
from app.core.request_state import request_state
from tests.hostile import (
    HEAD,
    Behaviour,
    Hostile,
    answers,
    answers_json,
    closed_port,
    hostile_server,
    in_turn,
    sends,
    streams,
)

SECONDS = 0.5
SOON = 20  # seconds; without a limit, it would be never


@pytest.fixture
def server() -> Iterator[Hostile]:
    with hostile_server() as server:
        yield server


@pytest.fixture
def service() -> Service:
    return Service("Another", at_once=2, seconds=SECONDS)


def whole(answer: Answer) -> Answer:
    return answer


def ask(service: Service, url: str) -> Answer:
    return service.get(f"{url}/path", whole, params={"a": "b c"})


def idle() -> bool:
    """Return whether no thread of a call is left, waiting a while for those that are ending."""
    deadline = time.monotonic() + SOON
    while any(thread.name.endswith("(_fulfil)") for thread in threading.enumerate()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_an_answer_is_given_with_its_status_and_body(server: Hostile, service: Service) -> None:
    server.behave = answers(404, b"nothing")
    assert ask(service, server.url) == Answer(404, b"nothing")
    assert not service.has_failed


def test_a_call_says_who_calls_and_for_which_request(server: Hostile, service: Service, app: Flask) -> None:
    with app.app_context():
        request_state().request_id = "request-1234"
        ask(service, server.url)
    ask(service, server.url)
    inside, outside = server.requests
    assert inside.startswith("GET /path?a=b+c HTTP/1.1\r\n")
    assert "User-Agent: Agora\r\n" in inside
    assert "X-Request-ID: request-1234\r\n" in inside
    assert "X-Request-ID" not in outside


def test_neither_proxies_nor_passwords_are_taken_from_the_environment(
    server: Hostile, service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:
        file.write("machine 127.0.0.1 login somebody password hidden\n")
    monkeypatch.setenv("NETRC", netrc)
    monkeypatch.setenv("HTTP_PROXY", closed_port())
    monkeypatch.setenv("NO_PROXY", "")
    assert ask(service, server.url).status == 200
    assert "Authorization" not in server.requests[0]


HANGS: dict[str, Callable[[Hostile], Behaviour]] = {
    "before the headers": lambda server: server.hangs(),
    "in the headers": lambda server: server.hangs(HEAD),
    "before the body": lambda server: server.hangs(HEAD + b"Content-Length: 100\r\n\r\n"),
    "in the body": lambda server: server.hangs(HEAD + b"Content-Length: 100\r\n\r\n{"),
    "in a chunk": lambda server: server.hangs(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"),
    "dripping its status": lambda server: server.drips(b"", b"H"),
    "dripping headers": lambda server: server.drips(HEAD, b"X"),
    "dripping a body": lambda server: server.drips(HEAD + b"Content-Length: 100000\r\n\r\n", b"1"),
    "dripping chunks": lambda server: server.drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n1\r\n"),
    "dripping without an end": lambda server: server.drips(HEAD + b"\r\n", b"1"),
}


@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS)
def test_a_server_that_hangs_or_drips_is_given_up(
    server: Hostile, service: Service, hang: Callable[[Hostile], Behaviour]
) -> None:
    server.behave = hang(server)
    begun = time.monotonic()
    with pytest.raises(OutgoingError, match=r"no answer within 0\.5 seconds|timed out"):
        ask(service, server.url)
    assert time.monotonic() - begun < SOON
    assert idle(), "the thread of a call goes on"


def test_a_name_server_that_hangs_is_given_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    answering = threading.Event()

    def resolve(*_: object, **__: object) -> list[object]:
        answering.wait(SOON)
        return []

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    begun = time.monotonic()
    with pytest.raises(OutgoingError, match="no answer within"):
        ask(service, "http://rates.example.com")
    assert time.monotonic() - begun < SOON
    answering.set()
    assert idle()


NONSENSE: dict[str, tuple[Behaviour, str]] = {
    "an error of its own": (answers(500, b"{}"), "answered 500"),
    "overloaded for an hour": (answers(503, b"{}", "Retry-After: 3600"), "answered 503"),
    "no HTTP": (sends(b"220 smtp.example.com ESMTP\r\n\r\n"), "ConnectionError"),
    "noise": (sends(bytes(range(256)) * 100), "ConnectionError"),
    "nothing": (sends(b""), "ConnectionError"),
    "a body that breaks off": (sends(HEAD + b"Content-Length: 100\r\n\r\n{}"), "IncompleteRead"),
    "two lengths": (sends(HEAD + b"Content-Length: 1, 2\r\n\r\n{}"), "Content-Length"),
    "broken chunks": (sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}"), "IncompleteRead"),
    "a head without end": (sends(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n{}"), "100 headers"),
    "a header without end": (sends(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n{}"), "header line"),
    "10 GB": (streams(10**10), "larger than 1048576"),
    "10 GB in a chunk": (
        sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2540be400\r\n" + b"1" * 2_000_000),
        "larger than 1048576",
    ),
}


@pytest.mark.parametrize(("behave", "reason"), NONSENSE.values(), ids=NONSENSE)
def test_an_answer_that_is_none_has_a_reason(server: Hostile, behave: Behaviour, reason: str) -> None:
    service = Service("Another", at_once=1, seconds=SOON)
    server.behave = behave
    with pytest.raises(OutgoingError, match=reason):
        ask(service, server.url)
    assert service.has_failed
    assert idle()


def test_nobody_at_the_address_has_a_reason() -> None:
    with pytest.raises(OutgoingError, match="refused"):
        ask(Service("Another", at_once=1, seconds=SOON), closed_port())


def test_the_largest_answer_is_taken(server: Hostile) -> None:
    server.behave = answers(200, b"1" * MAX_BYTES)
    assert len(ask(Service("Another", at_once=1, seconds=SOON), server.url).body) == MAX_BYTES


def test_a_redirect_is_not_followed(server: Hostile, service: Service) -> None:
    server.behave = answers(302, b"", f"Location: {server.url}/path")
    assert ask(service, server.url).status == 302
    assert len(server.requests) == 1


def test_what_is_compressed_is_not_unpacked(server: Hostile, service: Service) -> None:
    packed = gzip.compress(b"0" * 100 * MAX_BYTES)
    server.behave = answers(200, packed, "Content-Encoding: gzip")
    assert ask(Service("Another", at_once=1, seconds=SOON), server.url).body == packed
    assert "Accept-Encoding: identity" in server.requests[0]


def test_a_failure_that_passes_is_not_noticed(server: Hostile) -> None:
    service = Service("Another", at_once=1, seconds=SOON)
    server.behave = in_turn(answers(503, b""), sends(b""), answers(200, b"{}"))
    assert ask(service, server.url).status == 200
    assert len(server.requests) == 3
    assert not service.has_failed


def test_a_service_is_asked_three_times_and_not_once_more(server: Hostile) -> None:
    server.behave = answers(500, b"")
    with pytest.raises(OutgoingError):
        ask(Service("Another", at_once=1, seconds=SOON), server.url)
    assert len(server.requests) == 3


def test_a_service_that_fails_is_left_alone_until_it_may_have_recovered(server: Hostile) -> None:
    service = Service("Another", at_once=1, seconds=SOON)
    server.behave = answers(200, b"nonsense")

    def read(answer: Answer) -> object:
        return answer.json()

    def call() -> object:
        assert idle()
        return service.get(server.url, read, params={})

    for _ in range(http_client.FAILURES):
        with pytest.raises(OutgoingError, match="not JSON"):
            call()
    server.behave = answers_json([1])
    with pytest.raises(OutgoingError, match="circuit breaker is open"):
        call()
    assert len(server.requests) == http_client.FAILURES
    service._breaker.reset_timeout = 0
    assert call() == [1]
    assert not service.has_failed


def test_more_calls_than_may_be_are_refused_at_once_and_count_for_nothing(server: Hostile) -> None:
    service = Service("Another", at_once=2, seconds=SOON)
    arrived, released = threading.Semaphore(0), threading.Event()

    def behave(connection: object) -> None:
        arrived.release()
        released.wait(SOON)
        answers(200, b"{}")(connection)  # type: ignore[arg-type]

    server.behave = behave
    with ThreadPoolExecutor(2) as pool:
        under_way = [pool.submit(ask, service, server.url) for _ in range(2)]
        assert arrived.acquire(timeout=SOON)
        assert arrived.acquire(timeout=SOON), "one call keeps the other waiting"
        for _ in range(10):
            with pytest.raises(OutgoingError, match="under way already"):
                ask(service, server.url)
        released.set()
        assert [call.result().status for call in under_way] == [200, 200]
    assert idle()
    assert not service.has_failed
    assert ask(service, server.url).status == 200


def test_a_mistake_of_ours_is_not_taken_for_one_of_the_service(server: Hostile, service: Service) -> None:
    def read(_answer: Answer) -> object:
        raise KeyError("a mistake")

    with pytest.raises(KeyError, match="a mistake"):
        service.get(server.url, read, params={})


def test_numbers_are_exact() -> None:
    assert Answer(200, b'{"a": 1.10, "b": 3}').json() == {"a": Decimal("1.10"), "b": Decimal(3)}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"<html>", b"\xff\xfe", b"NaN", b"-Infinity", b"[" * 100_000, b"1" * 5000 + b"x", b"1e" + b"9" * 30],
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(OutgoingError, match="not JSON"):
        Answer(200, body).json()
