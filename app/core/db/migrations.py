"""Where the database's schema stands, beside where the code expects it."""

from functools import cache
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

FOLDER = Path(__file__).resolve().parents[3] / "migrations"
TURN = 0x41474F5241  # the advisory lock that a migration holds: "AGORA", as good a number as any
TURN_TIMEOUT = 600_000  # milliseconds to wait for a migration that is under way
# undefined_table and undefined_column: https://www.postgresql.org/docs/current/errcodes-appendix.html
UNDEFINED = ("42P01", "42703")
NO_SUCH = ("no such table", "no such column")  # as SQLite says it


@cache
def known_revisions() -> tuple[str, ...]:
    """Return the revisions that this code has, the newest first."""
    return tuple(script.revision for script in ScriptDirectory(str(FOLDER)).walk_revisions())


def has_all(connection: Connection) -> bool:
    """Return whether the database has every revision that this code has.

    One that newer code has migrated further has them too: while it is deployed, the old code goes on serving.
    """
    revision = current_revision(connection)
    return revision is not None and (revision == known_revisions()[0] or revision not in known_revisions())


def current_revision(connection: Connection) -> str | None:
    """Return the revision that the database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def is_missing(error: DBAPIError) -> bool:
    """Return whether ``error`` is about a table or a column that the database does not have."""
    return getattr(error.orig, "pgcode", None) in UNDEFINED or str(error.orig).startswith(NO_SUCH)
