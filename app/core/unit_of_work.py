"""The unit of work: the only place that commits.

Which way a statement goes: what gives or changes entities, or must see what was changed on one and is not flushed yet,
goes through ``db.session``. What gives or takes rows alone may go by ``execute``, past the session, which costs half as
much again. Both work on the one connection of the request, and so in its one transaction.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeAlias, TypeVar, cast

from flask import current_app, has_request_context
from sqlalchemy import Connection, CursorResult, Delete, Executable, Result, Update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from app.core.db import prepared
from app.core.db.base import Base, table_of
from app.core.db.engines import connection_of, release
from app.core.db.postgres import limit_statements
from app.core.errors import AppError
from app.core.request_state import request_state
from app.core.waiting import shortened
from app.extensions import db

log = logging.getLogger(__name__)

T = TypeVar("T")
# The parameters of a statement, or of one that is executed for each of several rows.
Values: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]

ATTEMPTS = 3
# serialization_failure and deadlock_detected: PostgreSQL asks for the whole transaction to be tried again.
RETRIED = ("40001", "40P01")


class _Undone(Exception):
    """Carries a result out of the transaction that is rolled back."""

    def __init__(self, result: Any) -> None:
        self.result = result


def unit_of_work(work: Callable[[], T], *, snapshot: bool = False) -> T:
    """Run ``work`` in one transaction and give its result: all of it is kept, or nothing.

    With ``snapshot``, all that it reads is of one moment.

    A transaction that the database refuses for another one's sake is run again, up to three times; so ``work`` does
    nothing but work on the database. An error rolls back, except one that ``keeps_changes``.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _attempt(work, snapshot=snapshot)
        except DBAPIError as error:
            if attempt == ATTEMPTS or getattr(error.orig, "pgcode", None) not in RETRIED:
                raise
            log.info("Transaction refused by the database, attempt %d", attempt)
    raise AssertionError("unreachable")


def is_writing() -> bool:
    """Return whether a unit of work is under way."""
    return request_state().after_commit is not None


def _attempt(work: Callable[[], T], *, snapshot: bool) -> T:
    release(db)  # What was read before belongs to the reading engine.
    state, engine = request_state(), db.engine
    connection = state.connection = engine.connect()
    actions: list[Callable[[], None]] = []
    state.after_commit = actions
    try:
        if snapshot and engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        _begin(connection)
        try:
            result = work()
        except _Undone as undone:
            return cast(T, undone.result)
        except AppError as error:
            if error.keeps_changes:
                _commit(connection)
            raise
        _commit(connection)
    finally:
        release(db)
        state.after_commit = None
    for action in actions:
        action()
    return result


@contextmanager
def snapshot() -> Iterator[None]:
    """Read, inside the block, all as of one moment, however long it takes, without keeping anyone from writing.

    PostgreSQL does so in REPEATABLE READ, SQLite in any transaction that reads from its write-ahead log.
    """
    release(db)
    connection = connection_of(db)
    try:
        if db.engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        else:
            connection.exec_driver_sql("BEGIN")
        yield
    finally:
        release(db)


def after_commit(action: Callable[[], None]) -> None:
    """Have ``action`` run once the unit of work under way has committed; never, if it does not."""
    actions = request_state().after_commit
    if actions is None:
        raise RuntimeError("There is no unit of work that could commit.")
    actions.append(action)


def _begin(connection: Connection) -> None:
    """Begin a transaction that waits for locks as long as LOCK_TIMEOUT has left; in the background, for longer.

    A statement of a request, which somebody waits for, is not given more time for its work than for its locks.
    """
    connection.begin()
    if connection.dialect.name != "postgresql":
        return  # SQLite has waited.
    config = current_app.config
    seconds = shortened(config["LOCK_TIMEOUT"]) if has_request_context() else config["STATEMENT_TIMEOUT"]
    if seconds is not None:
        limit_statements(connection, seconds)


def _commit(connection: Connection) -> None:
    flush()
    connection.commit()


def flush() -> None:
    """Write what the session has yet to write, if one is in use."""
    if db.session.registry.has():
        db.session.flush()


def start_over() -> None:
    """Undo all that the unit of work under way has done, and give up its locks; it goes on as if it had just begun."""
    db.session.remove()
    state = request_state()
    if state.after_commit is None or state.connection is None:
        raise RuntimeError("There is no unit of work that could start over.")
    state.after_commit.clear()
    state.connection.rollback()
    _begin(state.connection)


@contextmanager
def savepoint() -> Iterator[None]:
    """Undo what a block has done, and nothing else, if it fails.

    A session that is in use already takes part, so that it forgets what is undone; one that begins inside is let go.
    """
    if db.session.registry.has():
        with db.session.begin_nested():
            yield
        return
    with connection_of(db).begin_nested():
        try:
            yield
            flush()
        except Exception:
            db.session.remove()
            raise


def execute(statement: Executable, values: Values | None = None) -> Result[Any]:
    """Execute a statement whose result is rows, not entities, with ``values`` for its parameters.

    It goes past the session, which would take half as long again for the same rows. It sees what was flushed.
    """
    return prepared.execute(connection_of(db), statement, values)


def insert_on_conflict(model: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """Begin an INSERT that can say ON CONFLICT, as both databases write it."""
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    return insert(table_of(model))


def rows_of(statement: Delete | Update) -> int:
    """Execute a DELETE or UPDATE, and return the number of its rows."""
    result = cast("CursorResult[Any]", db.session.execute(statement))
    return result.rowcount


def roll_back_with(result: Any) -> NoReturn:
    """End the unit of work under way, keep nothing of it, and have it return ``result``: as a dry run does."""
    raise _Undone(result)
