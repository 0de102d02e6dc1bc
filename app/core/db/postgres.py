"""PostgreSQL: what its connections are told, and a limit on every wait for it."""

import select
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from psycopg2 import Error
from psycopg2.extensions import POLL_OK, POLL_READ, STATUS_BEGIN, STATUS_READY, set_wait_callback
from sqlalchemy import Connection, Dialect, Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from app.core.db import prepared
from app.core.db.breaker import DatabaseBreaker, Unanswered

CONNECT_TIMEOUT = 3  # seconds
PROBE_AFTER = 2.0  # seconds without an answer, after which a new connection finds out whether the server is there
POLL_INTERVAL = 1.0  # seconds between two looks at what other threads have found out
ESTABLISHED = (STATUS_READY, STATUS_BEGIN)  # what psycopg2 calls a connection that is made
PING_AFTER_IDLE = 1.0  # seconds that a connection may have been idle without being asked whether it is alive
IDLE_SINCE = "idle_since"
CLIENT_GRACE = 2  # seconds that a client waits longer than the server is told to work


def prepare_engines(engines: Iterable[Engine], *, statement_timeout: int | None) -> None:
    """Bound every wait for the server, and have broken connections replaced.

    ``statement_timeout`` is in seconds. With None, psycopg2 waits in its own way, which has no limit for a server that
    does not answer; see docs/decisions/0003-wait-callback.md.
    """
    breaker = DatabaseBreaker()
    limited = statement_timeout and partial(_wait, breaker, statement_timeout + CLIENT_GRACE)
    set_wait_callback(limited)
    for engine in engines:
        event.listen(engine, "do_connect", lambda *_: breaker.before_call())
        event.listen(engine, "connect", lambda *_: breaker.reset())
        event.listen(engine, "checkin", _note_time)
        event.listen(engine, "checkout", partial(_ping, breaker, engine.dialect))
        event.listen(engine, "handle_error", prepared.replace_broken)


def _wait(breaker: DatabaseBreaker, seconds: float, connection: Any) -> None:
    """Wait for PostgreSQL's answer, but not for ever. One callback serves all connections of the process.

    A server that is frozen does not keep its own time limits, and libpq has none for an answer. Who has waited for a
    while asks whether it is there at all, so that a slow statement is told from a silent server. psycopg2 closes a
    connection whose wait fails; the pool replaces it. https://www.psycopg.org/docs/advanced.html#green-support
    """
    connecting = connection.status not in ESTABLISHED
    begun = time.monotonic()
    limit = CONNECT_TIMEOUT if connecting else seconds
    while (state := connection.poll()) != POLL_OK:
        poller = select.poll()
        poller.register(connection.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        while not poller.poll(POLL_INTERVAL * 1000):
            waited = time.monotonic() - begun
            if connecting and waited >= limit:
                breaker.trip()
            given_up = not connecting and waited >= PROBE_AFTER and breaker.probe(connection)
            if given_up or waited >= limit:
                raise Unanswered("the database did not answer in time")


def _note_time(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[IDLE_SINCE] = time.monotonic()


def _ping(
    breaker: DatabaseBreaker, dialect: Dialect, connection: Any, record: ConnectionPoolEntry, _proxy: Any
) -> None:
    """Have a connection that has died in the pool replaced before it is used.

    One that was used within the last second is not asked: that would be one more way to the server and back for each
    request. If it has died since, one request is answered 503, and all connections of the pool are replaced.
    """
    breaker.before_call()
    idle = time.monotonic() - record.info.get(IDLE_SINCE, time.monotonic())
    if idle < PING_AFTER_IDLE and not breaker.is_open:
        return
    try:
        dialect.do_ping(connection)
    except Unanswered:
        raise
    except Error:
        breaker.reset()
        raise DisconnectionError from None
    breaker.reset()


def limit_statements(connection: Connection, seconds: float) -> None:
    """Let each statement of the transaction take ``seconds``, its waits for locks included."""
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {round(seconds * 1000)}")


def connect_arguments(settings: Mapping[str, Any], *, read_only: bool) -> dict[str, Any]:
    """What libpq is told: who we are, UTC, and a limit on every wait (milliseconds).

    A statement that writes takes no longer than a wait for a lock may: it can wait for several, one after another, and
    ``lock_timeout`` is for each of them. The second of those who wait for a row waits for the first, then for the row.
    """
    statement_timeout: int = settings["STATEMENT_TIMEOUT"]
    if not read_only:
        statement_timeout = min(statement_timeout, settings["LOCK_TIMEOUT"])
    options = {
        "timezone": "UTC",
        "statement_timeout": statement_timeout * 1000,
        "lock_timeout": settings["LOCK_TIMEOUT"] * 1000,
        "idle_in_transaction_session_timeout": settings["REQUEST_TIMEOUT"] * 1000,
        "default_transaction_read_only": "on" if read_only else "off",
        "plan_cache_mode": "force_generic_plan",  # What is prepared here has one plan for all values.
    }
    return {
        "application_name": "agora",
        "connect_timeout": CONNECT_TIMEOUT,  # which libpq keeps where no wait callback does
        "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
        "tcp_user_timeout": settings["REQUEST_TIMEOUT"] * 1000,
    }
