"""The unit of work: the only place that commits."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar, cast

from sqlalchemy import CursorResult, Delete, Update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from app.core.database import WRITING
from app.core.errors import AppError
from app.core.models import Base
from app.extensions import db

log = logging.getLogger(__name__)

T = TypeVar("T")

ATTEMPTS = 3
# serialization_failure and deadlock_detected: PostgreSQL asks for the whole transaction to be tried again.
RETRIED = ("40001", "40P01")


class _Undone(Exception):
    """Carries the result of a dry run out of the transaction that it undoes."""

    def __init__(self, result: Any) -> None:
        self.result = result


def unit_of_work(work: Callable[[], T], *, isolated: bool = False) -> T:
    """Run ``work`` in one transaction and give its result: all of it is kept, or nothing.

    With ``isolated``, all that it reads is of one moment.

    A transaction that the database refuses for another one's sake is run again, up to three times; so ``work`` does
    nothing but work on the database. An error rolls back, except one that ``keeps_changes``.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _attempt(work, isolated=isolated)
        except DBAPIError as error:
            if attempt == ATTEMPTS or getattr(error.orig, "pgcode", None) not in RETRIED:
                raise
            log.info("Transaction refused by the database, attempt %d", attempt)
    raise AssertionError("unreachable")


def is_writing() -> bool:
    """Tell whether a unit of work is under way."""
    return WRITING in db.session.info


def _attempt(work: Callable[[], T], *, isolated: bool) -> T:
    db.session.close()  # What was read before belongs to the reading engine.
    actions: list[Callable[[], None]] = []
    db.session.info[WRITING] = actions
    try:
        try:
            if isolated and db.engine.dialect.name == "postgresql":
                db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            result = work()
        except _Undone as undone:
            return cast(T, undone.result)
        except AppError as error:
            if error.keeps_changes:
                db.session.commit()
            raise
        db.session.commit()
    finally:
        db.session.close()
        del db.session.info[WRITING]
    for action in actions:
        action()
    return result


@contextmanager
def one_moment() -> Iterator[None]:
    """Read, inside the block, all as of one moment, however long it takes, without keeping anyone from writing.

    PostgreSQL does so in REPEATABLE READ, SQLite in any transaction that reads from its write-ahead log.
    """
    db.session.close()
    try:
        if db.engine.dialect.name == "postgresql":
            db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        else:
            db.session.connection().exec_driver_sql("BEGIN")
        yield
    finally:
        db.session.close()


def after_commit(action: Callable[[], None]) -> None:
    """Have ``action`` run once the unit of work under way has committed; never, if it does not."""
    db.session.info[WRITING].append(action)


def insert_on_conflict(model: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """Begin an INSERT that can say ON CONFLICT, as both databases write it."""
    return postgresql.insert(model) if db.engine.dialect.name == "postgresql" else sqlite.insert(model)


def rows_of(statement: Delete | Update) -> int:
    """Execute a DELETE or UPDATE, and give the number of its rows."""
    result = cast("CursorResult[Any]", db.session.execute(statement))
    return result.rowcount


def dry_run(work: Callable[[], Any]) -> NoReturn:
    """Run ``work`` inside a unit of work, which gives its result and keeps nothing of it."""
    raise _Undone(work())
