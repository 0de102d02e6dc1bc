"""The two engines on one database: one that writes in transactions, one that only reads, in autocommit.

Reading in autocommit saves the BEGIN and ROLLBACK of every request that changes nothing, and the database itself
refuses a write that strays there. A request has one connection at a time: that of its unit of work, and outside of one
a reading one. Rows are read and written on it as such; the session, which costs as much as a query, joins it where
entities are used.
"""

import os
from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy import Connection, Engine, make_url

from app.core.db import postgres, prepared, sqlite
from app.core.request_state import request_state

READS = "reads"

_engines: "WeakSet[Engine]" = WeakSet()


def _forget_connections() -> None:
    """Return a forked process connections of its own: two that speak on one would hear each other's answers."""
    for engine in _engines:
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_connections)


class RoutingSession(Session):
    """A session that works on the request's connection; the unit of work is what ends its transactions."""

    def get_bind(self, *_args: Any, **_kwargs: Any) -> Connection:
        """Return the connection for what the request is doing now."""
        return connection_of(self._db)


def connection_of(db: SQLAlchemy) -> Connection:
    """Return the connection that is worked on: the unit of work's, or one that only reads."""
    state = request_state()
    if state.connection is None:
        state.connection = db.engines[READS].connect()
    return state.connection


def release(db: SQLAlchemy) -> None:
    """Give the connection back to its pool; what was not committed is rolled back."""
    state = request_state()
    if state.connection is not None:
        if db.session.registry.has():
            db.session.remove()
        connection, state.connection = state.connection, None
        connection.close()


def engine_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return Flask-SQLAlchemy's configuration for both engines."""
    url = settings["DATABASE_URL"]
    is_sqlite = make_url(url).get_backend_name() == "sqlite"
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
        if is_sqlite:
            return {"timeout": settings["LOCK_TIMEOUT"]}
        return postgres.connect_arguments(settings, read_only=read_only)

    writing = {**common, "connect_args": connect_args(read_only=False)}
    reading = {**common, "connect_args": connect_args(read_only=True), "isolation_level": "AUTOCOMMIT"}
    return {"SQLALCHEMY_DATABASE_URI": url, "SQLALCHEMY_ENGINE_OPTIONS": writing, "SQLALCHEMY_BINDS": {READS: reading}}


def init_app(app: Flask, db: SQLAlchemy) -> None:
    """Bound every wait for PostgreSQL; teach SQLite's connections what PostgreSQL's know of themselves."""
    app.teardown_appcontext(lambda _error: release(db))
    with app.app_context():
        _engines.update(db.engines.values())
        for engine in db.engines.values():
            prepared.watch(engine, prepares=app.config["PREPARED_STATEMENTS"])
        if db.engine.dialect.name == "sqlite":
            seconds = app.config["LOCK_TIMEOUT"]
            sqlite.prepare_engines(writes=db.engine, reads=db.engines[READS], lock_timeout=seconds)
        else:
            seconds = app.config["STATEMENT_TIMEOUT"] if app.config["WAIT_CALLBACK"] else None
            postgres.prepare_engines(db.engines.values(), statement_timeout=seconds)
