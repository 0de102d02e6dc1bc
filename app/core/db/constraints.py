"""What a violated constraint means to a client: said in its ``info``, found again by its name.

PostgreSQL names the constraint that was broken. SQLite names a CHECK, but of a UNIQUE it names only the columns.
"""

import re
from typing import Any, TypedDict, cast

from sqlalchemy import UniqueConstraint
from sqlalchemy.exc import DBAPIError

from app.core.db.base import Base
from app.core.errors import Conflict

SQLITE_UNIQUE = re.compile(r"UNIQUE constraint failed: (?P<columns>.+)")
SQLITE_CHECK = re.compile(r"CHECK constraint failed: (?P<name>\w+)")


class DeclaredError(TypedDict):
    """The ``info["error"]`` of a constraint: the field it is about, a code for programs, a message for people."""

    field: str
    code: str
    message: str


def conflict(declared: DeclaredError) -> Conflict:
    """Return the 409 that says what a constraint declares."""
    return Conflict(declared["message"], code=declared["code"], errors={declared["field"]: [declared["message"]]})


def declared_error(error: DBAPIError) -> DeclaredError | None:
    """Return the words that the violated constraint declares, or None."""
    name = constraint_name(error)
    for table in Base.metadata.tables.values():
        for constraint in table.constraints:
            if constraint.name == name:
                return cast(DeclaredError | None, constraint.info.get("error"))
    return None


def constraint_name(error: DBAPIError) -> str | None:
    """Return the name of the violated constraint, or None where the database does not tell."""
    diagnostics: Any = getattr(error.orig, "diag", None)
    if diagnostics is not None:
        return cast(str | None, diagnostics.constraint_name)
    text = str(error.orig)
    if match := SQLITE_CHECK.search(text):
        return match["name"]
    if match := SQLITE_UNIQUE.search(text):
        return _unique_over(match["columns"].split(", "))
    return None


def _unique_over(columns: list[str]) -> str | None:
    for table in Base.metadata.tables.values():
        for constraint in table.constraints:
            if isinstance(constraint, UniqueConstraint) and [str(c) for c in constraint.columns] == columns:
                return str(constraint.name)
    return None
