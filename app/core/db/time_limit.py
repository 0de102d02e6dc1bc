"""A limit on the time that the database may work for one request, shorter than STATEMENT_TIMEOUT."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

CANCELLED = ("57014", "SQLITE_INTERRUPT")  # query_canceled of PostgreSQL, and SQLite's name for it
CHECK_EVERY = 1_000  # instructions of SQLite's virtual machine


@contextmanager
def time_limit(connection: Connection, seconds: float) -> Iterator[None]:
    """End what is executed on ``connection`` inside the block after ``seconds``: TimeoutError.

    PostgreSQL takes the time of each statement, SQLite that of the block.
    """
    limit = _on_sqlite if connection.dialect.name == "sqlite" else _on_postgresql
    try:
        with limit(connection, seconds):
            yield
    except OperationalError as error:
        reason = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlite_errorname", None)
        if reason in CANCELLED:
            raise TimeoutError from None
        raise


@contextmanager
def _on_postgresql(connection: Connection, seconds: float) -> Iterator[None]:
    connection.exec_driver_sql(f"SET statement_timeout = {round(seconds * 1000)}")
    try:
        yield
    finally:
        if not connection.invalidated:
            connection.exec_driver_sql("RESET statement_timeout")


@contextmanager
def _on_sqlite(connection: Connection, seconds: float) -> Iterator[None]:
    """Have SQLite ask now and then whether it is to go on: https://www.sqlite.org/c3ref/progress_handler.html."""
    until = time.monotonic() + seconds
    driver_connection = cast("sqlite3.Connection", connection.connection.driver_connection)
    driver_connection.set_progress_handler(lambda: time.monotonic() > until, CHECK_EVERY)
    try:
        yield
    finally:
        driver_connection.set_progress_handler(None, 0)
