"""The one way out: how every call over HTTP to another service is made.

A call has a limit on its time and on the size of its answer, is repeated after failures that pass quickly, follows no
redirect, decompresses nothing, and reads no proxies or passwords from the environment. A service that has failed
several times is not called for a while (a circuit breaker), and only so many calls of one are under way at once.
"""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from http.client import HTTPException
from socket import SHUT_RDWR, socket
from socket import close as socket_close
from threading import BoundedSemaphore, Thread
from typing import Any, NoReturn, TypeVar

from pybreaker import CircuitBreaker, CircuitBreakerError
from requests import RequestException, Session
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from app.core.request_state import request_id

T = TypeVar("T")

CONNECT_SECONDS = 1.0
MAX_BYTES = 1_048_576
CHUNK_SIZE = 65_536  # bytes that are read at once
FAILURES = 3  # in a row, after which the circuit breaker trips
RESET_TIMEOUT = 10  # seconds, after which one call tries again
REASON_LENGTH = 300
HEADERS = {"User-Agent": "Agora", "Accept": "application/json", "Accept-Encoding": "identity"}

# A wait that the service asks for is not kept: it would be longer than anybody waits here.
RETRY = Retry(
    total=2,
    status_forcelist=(500, 502, 503, 504),
    backoff_factor=0.1,
    backoff_jitter=0.1,
    respect_retry_after_header=False,
    raise_on_status=False,
)


class OutgoingError(Exception):
    """Another service has not answered, or not sensibly. The reason is for the log; it may quote what was sent."""


@dataclass(frozen=True)
class Answer:
    """What a service has answered: its status, which may be any below 500, and its body."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Return the JSON value, its numbers as Decimal. Raises OutgoingError."""
        try:
            return json.loads(self.body, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse)
        except (ValueError, ArithmeticError, RecursionError):
            raise OutgoingError("The body is not JSON.") from None


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("not a JSON number")


class Service:
    """One other service, with what this process knows of its health.

    ``at_once``: how many calls may be under way. ``seconds``: the most that one may take, from the name server to the
    last byte and with all repeats.
    """

    def __init__(self, name: str, *, at_once: int, seconds: float) -> None:
        self._name = name
        self._seconds = seconds
        self._slots = BoundedSemaphore(at_once)
        self._breaker = CircuitBreaker(FAILURES, RESET_TIMEOUT, name=name, throw_new_error_on_trip=False)

    @property
    def has_failed(self) -> bool:
        """Whether the last call has failed."""
        return self._breaker.fail_counter > 0

    def get(self, url: str, read: Callable[[Answer], T], *, params: Mapping[str, str]) -> T:
        """GET ``url``, and return what ``read`` makes of the answer.

        Raises OutgoingError, also when ``read`` does: an answer that makes no sense is a failure like any other. Hold
        no database connection meanwhile.
        """
        if not self._slots.acquire(blocking=False):
            raise OutgoingError(f"{self._name}: as many calls as may be are under way already.")
        line = _Line()
        asked_by = request_id()
        headers = HEADERS | ({"X-Request-ID": asked_by} if asked_by else {})
        work = partial(_get, line, url, read, params=params, headers=headers, seconds=self._seconds)
        future: Future[T] = Future()
        future.add_done_callback(lambda _: self._slots.release())
        try:
            with self._breaker.calling():  # Unlike call(), it keeps nobody else waiting meanwhile.
                return _result(future, work, self._seconds)
        except CircuitBreakerError:
            raise OutgoingError(f"{self._name}: the circuit breaker is open, it has failed lately.") from None
        except TimeoutError:
            raise OutgoingError(f"{self._name}: no answer within {self._seconds} seconds.") from None
        finally:
            future.cancel()  # Has no effect on one that has begun; that one gives its slot back when it ends.
            line.cut()


def _result(future: Future[T], work: Callable[[], T], seconds: float) -> T:
    """Run ``work`` in a thread and give its result; raises TimeoutError when it takes longer than ``seconds``.

    No time limit of a socket ends the wait for a name server, or for one who sends a byte now and then.
    """
    Thread(target=_fulfil, args=(future, work), daemon=True).start()
    return future.result(seconds)


def _fulfil(future: Future[T], work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


class _Line(HTTPAdapter):
    """The connections of one call, which can be cut while they are waited at."""

    def __init__(self) -> None:
        super().__init__(max_retries=RETRY)
        self._sockets: list[socket] = []
        self._is_cut = False

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return a pool that tells us of each connection it opens."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        kind: Any = pool.ConnectionCls
        line = self

        class Connection(kind):  # type: ignore[misc]
            def connect(self) -> None:
                super().connect()
                line._keep(self.sock)

        pool.ConnectionCls = Connection
        return pool

    def _keep(self, connected: socket) -> None:
        self._sockets.append(connected)
        if self._is_cut:
            self.cut()

    def cut(self) -> None:
        """End all connections, and whatever waits at them."""
        self._is_cut = True
        for connected in self._sockets:
            with suppress(OSError):
                connected.shutdown(SHUT_RDWR)

    def close(self) -> None:
        """Close everything, also what urllib3 leaves open when it cannot make sense of the headers."""
        super().close()
        for connected in self._sockets:
            with suppress(OSError):
                socket_close(connected.detach())


def _get(
    line: _Line,
    url: str,
    read: Callable[[Answer], T],
    *,
    params: Mapping[str, str],
    headers: dict[str, str],
    seconds: float,
) -> T:
    try:
        with Session() as session:
            session.trust_env = False
            session.mount("http://", line)
            session.mount("https://", line)
            limits = (CONNECT_SECONDS, seconds)
            with session.get(
                url, params=params, headers=headers, timeout=limits, allow_redirects=False, stream=True
            ) as response:
                answer = Answer(response.status_code, _body(response.raw))
    except (RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
        raise OutgoingError(f"{type(error).__name__}: {error}"[:REASON_LENGTH]) from error
    if answer.status >= 500:
        raise OutgoingError(f"It answered {answer.status}.")
    return read(answer)


def _body(raw: Any) -> bytes:
    body = b""
    while part := raw.read(CHUNK_SIZE, decode_content=False):
        body += part
        if len(body) > MAX_BYTES:
            raise OutgoingError(f"The answer is larger than {MAX_BYTES} bytes.")
    return body
