"""SQLite: its connections are taught what PostgreSQL's know of themselves."""

from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from app.core.waiting import shortened


def prepare_engines(*, writes: Engine, reads: Engine, lock_timeout: int) -> None:
    """Let one engine write in transactions that begin with the write lock, and keep the other from writing."""
    event.listen(writes, "connect", _configure)
    event.listen(writes, "begin", partial(_begin_immediate, lock_timeout))
    event.listen(reads, "connect", _configure)
    event.listen(reads, "connect", _only_read)


def _configure(connection: DBAPIConnection, _record: Any) -> None:
    """Check foreign keys, let readers and a writer work at once, and leave BEGIN to us."""
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")


def _only_read(connection: DBAPIConnection, _record: Any) -> None:
    connection.execute("PRAGMA query_only = ON")


def _begin_immediate(lock_timeout: int, connection: Connection) -> None:
    """Take the write lock at once: one that is taken in the middle cannot wait and fails with "locked".

    Who has waited for a thread waits the shorter for the lock. ``lock_timeout`` is in seconds.
    """
    seconds = shortened(lock_timeout)
    if seconds is None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(seconds * 1000)}")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {lock_timeout * 1000}")
