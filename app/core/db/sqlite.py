"""SQLite: its connections are taught what PostgreSQL's know of themselves."""

from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection


def prepare_engines(*, writes: Engine, reads: Engine) -> None:
    """Let one engine write in transactions that begin with the write lock, and keep the other from writing."""
    event.listen(writes, "connect", _configure)
    event.listen(writes, "begin", _begin_immediate)
    event.listen(reads, "connect", _configure)
    event.listen(reads, "connect", _only_read)


def _configure(connection: DBAPIConnection, _record: Any) -> None:
    """Check foreign keys, let readers and a writer work at once, and leave BEGIN to us."""
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")


def _only_read(connection: DBAPIConnection, _record: Any) -> None:
    connection.execute("PRAGMA query_only = ON")


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock at once: one that is taken in the middle cannot wait and fails with "locked"."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
