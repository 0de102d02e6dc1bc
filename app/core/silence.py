"""Whether PostgreSQL answers at all: one that is frozen, or whose host is gone, refuses nothing, and nothing arrives.

Who has waited for a while asks on a new connection whether anybody is there. If not, this wait and all others end, and
from then on everybody is refused at once, but for one a second, who tries; whoever is answered ends it.
"""

import time
from typing import Any

import psycopg2
from psycopg2 import Error, OperationalError

LEFT_ALONE = 1.0  # seconds between two who try a server that is silent


class Unanswered(OperationalError):  # type: ignore[misc]
    """The database did not answer in time."""


class Silence:
    """What a process knows of its server. Its threads share it; a race costs one question more."""

    def __init__(self) -> None:
        self.is_known = False
        self._next_try = 0.0
        self._is_asking = False

    def admit(self) -> None:
        """Let somebody pass to the server. Raises Unanswered, at once, while it is silent, but for one a second."""
        if not self.is_known:
            return
        now = time.monotonic()
        if now < self._next_try:
            raise Unanswered("the database has not answered lately")
        if now > self._next_try + LEFT_ALONE:  # Nobody has tried lately: what was known is old.
            self.end()
        self._next_try = now + LEFT_ALONE

    def begin(self) -> None:
        """Note that the server has not answered."""
        self.is_known, self._next_try = True, time.monotonic() + LEFT_ALONE

    def end(self) -> None:
        """Note that the server has answered, be it by a refusal."""
        self.is_known = False

    def is_found_beside(self, connection: Any) -> bool:
        """Tell whether the server is silent, by a new connection beside one that has waited for long."""
        if self.is_known or self._is_asking:
            return self.is_known
        self._is_asking = True
        try:
            psycopg2.connect(password=connection.info.password, **connection.info.dsn_parameters).close()
        except Unanswered:
            pass  # The wait for a connection has noted it.
        except Error:
            self.end()
        finally:
            self._is_asking = False
        return self.is_known
