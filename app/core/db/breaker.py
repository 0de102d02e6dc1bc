"""A circuit breaker for PostgreSQL: a server that is frozen, or whose host is gone, refuses and answers nothing.

A thread that has waited for a while probes the server with a new connection. If nobody answers, the breaker trips: this
wait and all others end, and from then on every call is refused at once, but for one in each ``RESET_TIMEOUT``, which
tries; the first answer resets the breaker.
"""

import time
from typing import Any

import psycopg2
from psycopg2 import Error, OperationalError

RESET_TIMEOUT = 1.0  # seconds between two calls that try a server that does not answer


class Unanswered(OperationalError):  # type: ignore[misc]
    """The database did not answer in time."""


class DatabaseBreaker:
    """What a process knows of its server. Its threads share it; a race costs one question more."""

    def __init__(self) -> None:
        self.is_open = False
        self._next_try = 0.0
        self._is_probing = False

    def before_call(self) -> None:
        """Let a call pass to the server. Raises Unanswered, at once, while open, but for one call a RESET_TIMEOUT."""
        if not self.is_open:
            return
        now = time.monotonic()
        if now < self._next_try:
            raise Unanswered("the database has not answered lately")
        if now > self._next_try + RESET_TIMEOUT:  # Nobody has tried lately: what was known is old.
            self.reset()
        self._next_try = now + RESET_TIMEOUT

    def trip(self) -> None:
        """Open the breaker: the server has not answered."""
        self.is_open, self._next_try = True, time.monotonic() + RESET_TIMEOUT

    def reset(self) -> None:
        """Close the breaker: the server has answered, be it by a refusal."""
        self.is_open = False

    def probe(self, connection: Any) -> bool:
        """Return whether the server is silent, by a new connection beside ``connection``, which has waited for long."""
        if self.is_open or self._is_probing:
            return self.is_open
        self._is_probing = True
        try:
            psycopg2.connect(password=connection.info.password, **connection.info.dsn_parameters).close()
        except Unanswered:
            pass  # The wait for a connection has tripped the breaker.
        except Error:
            self.reset()
        finally:
            self._is_probing = False
        return self.is_open
