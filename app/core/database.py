"""The two engines on one database: one that writes in transactions, one that only reads, in autocommit.

Reading in autocommit saves the BEGIN and ROLLBACK of every request that changes nothing, and the database itself
refuses a write that strays there. A request has one connection at a time: that of its unit of work, and outside of one
a reading one. Rows are read and written on it as such; the session, which costs as much as a query, joins it where
entities are used.
"""

import os
import select
import time
from collections.abc import Mapping
from functools import partial
from typing import Any
from weakref import WeakSet

from flask import Flask, g
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from psycopg2 import Error
from psycopg2.extensions import POLL_OK, POLL_READ, STATUS_BEGIN, STATUS_READY, set_wait_callback
from sqlalchemy import Connection, Dialect, Engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from app.core import prepared
from app.core.silence import Silence, Unanswered

READS = "reads"
CONNECTION = "connection"  # of the request, or of the command, kept in Flask's g
CONNECT_TIMEOUT = 3  # seconds
NOTICED = 2.0  # seconds without an answer, after which it is asked whether the server is there
LOOK_UP = 1.0  # seconds between two looks at what others have found out
ESTABLISHED = (STATUS_READY, STATUS_BEGIN)  # what psycopg2 calls a connection that is made
TRUSTED = 1.0  # seconds that a connection may have been idle without being asked whether it is alive
IDLE_SINCE = "idle_since"
CLIENT_GRACE = 2  # seconds that a client waits longer than the server is told to work


_engines: "WeakSet[Engine]" = WeakSet()


def _forget_connections() -> None:
    """Give a forked process connections of its own: two that speak on one would hear each other's answers."""
    for engine in _engines:
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_connections)


class RoutingSession(Session):
    """A session that works on the request's connection; the unit of work is what ends its transactions."""

    def get_bind(self, *_args: Any, **_kwargs: Any) -> Connection:
        """Give the connection for what the request is doing now."""
        return connection_of(self._db)


def connection_of(db: SQLAlchemy) -> Connection:
    """Give the connection that is worked on: the unit of work's, or one that only reads."""
    here = g._get_current_object()  # One look-up for all: this is asked for each statement.
    connection: Connection | None = here.get(CONNECTION)
    if connection is None:
        connection = here.connection = db.engines[READS].connect()
    return connection


def release(db: SQLAlchemy) -> None:
    """Give the connection back; what was not committed is rolled back."""
    connection = g.pop(CONNECTION, None)
    if connection is not None:
        if db.session.registry.has():
            db.session.remove()
        connection.close()


def engine_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give Flask-SQLAlchemy's configuration for both engines."""
    url = settings["DATABASE_URL"]
    sqlite = make_url(url).get_backend_name() == "sqlite"
    common: dict[str, Any] = {
        "url": url,
        "echo": settings["SQLALCHEMY_ECHO"],
        "pool_size": max(settings["WEB_THREADS"], 2),  # A job and its heartbeat are two.
        "max_overflow": 0,
        "pool_timeout": settings["LOCK_TIMEOUT"],
        # A row is read by names, never by column objects: to match those anew for each result takes 150 us on a list.
        # The ORM asks for the same; where SQLAlchemy does not know the option, it is only slower.
        "execution_options": {"_result_disable_adapt_to_context": True},
        "hide_parameters": not settings["SQLALCHEMY_ECHO"],  # An error in the log quotes no password hash.
    }

    def connect_args(*, read_only: bool) -> dict[str, Any]:
        if sqlite:
            return {"timeout": settings["LOCK_TIMEOUT"]}
        return _postgres_arguments(settings, read_only=read_only)

    writing = {**common, "connect_args": connect_args(read_only=False)}
    reading = {**common, "connect_args": connect_args(read_only=True), "isolation_level": "AUTOCOMMIT"}
    reading["pool_size"] += 1  # for the thread that keeps totals up
    return {"SQLALCHEMY_DATABASE_URI": url, "SQLALCHEMY_ENGINE_OPTIONS": writing, "SQLALCHEMY_BINDS": {READS: reading}}


def _postgres_arguments(settings: Mapping[str, Any], *, read_only: bool) -> dict[str, Any]:
    """What libpq is told: who we are, UTC, and a limit on every wait (milliseconds)."""
    options = {
        "timezone": "UTC",
        "statement_timeout": settings["STATEMENT_TIMEOUT"] * 1000,
        "lock_timeout": settings["LOCK_TIMEOUT"] * 1000,
        "idle_in_transaction_session_timeout": settings["REQUEST_TIMEOUT"] * 1000,
        "default_transaction_read_only": "on" if read_only else "off",
        "plan_cache_mode": "force_generic_plan",  # What is prepared here has one plan for all values.
    }
    return {
        "application_name": "agora",
        "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
        "tcp_user_timeout": settings["REQUEST_TIMEOUT"] * 1000,
    }


def init_app(app: Flask, db: SQLAlchemy) -> None:
    """Bound every wait for PostgreSQL; teach SQLite's connections what PostgreSQL's know of themselves."""
    app.teardown_appcontext(lambda _error: release(db))
    with app.app_context():
        _engines.update(db.engines.values())
        for engine in db.engines.values():
            prepared.watch(engine)
        if db.engine.dialect.name != "sqlite":
            silence = Silence()
            set_wait_callback(partial(_wait, silence, app.config["STATEMENT_TIMEOUT"] + CLIENT_GRACE))
            for engine in db.engines.values():
                event.listen(engine, "do_connect", lambda *_: silence.admit())
                event.listen(engine, "connect", lambda *_: silence.end())
                event.listen(engine, "checkin", _note_time)
                event.listen(engine, "checkout", partial(_ping, silence, engine.dialect))
                event.listen(engine, "handle_error", prepared.replace_broken)
            return
        event.listen(db.engine, "connect", _prepare_sqlite)
        event.listen(db.engine, "begin", _begin_immediate)
        event.listen(db.engines[READS], "connect", _prepare_sqlite)
        event.listen(db.engines[READS], "connect", _only_read)


def _wait(silence: Silence, seconds: float, connection: Any) -> None:
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
        while not poller.poll(LOOK_UP * 1000):
            waited = time.monotonic() - begun
            if connecting and waited >= limit:
                silence.begin()
            given_up = not connecting and waited >= NOTICED and silence.is_found_beside(connection)
            if given_up or waited >= limit:
                raise Unanswered("the database did not answer in time")


def _note_time(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[IDLE_SINCE] = time.monotonic()


def _ping(silence: Silence, dialect: Dialect, connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Have a connection that has died in the pool replaced before it is used.

    One that was used within the last second is not asked: that would be one more way to the server and back for each
    request. If it has died since, one request is answered 503, and all connections of the pool are replaced.
    """
    silence.admit()
    idle = time.monotonic() - record.info.get(IDLE_SINCE, time.monotonic())
    if idle < TRUSTED and not silence.is_known:
        return
    try:
        dialect.do_ping(connection)
    except Unanswered:
        raise
    except Error:
        silence.end()
        raise DisconnectionError from None
    silence.end()


def _prepare_sqlite(connection: DBAPIConnection, _record: Any) -> None:
    """Check foreign keys, let readers and a writer work at once, and leave BEGIN to us."""
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")


def _only_read(connection: DBAPIConnection, _record: Any) -> None:
    connection.execute("PRAGMA query_only = ON")


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock at once: one that is taken in the middle cannot wait and fails with "locked"."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
