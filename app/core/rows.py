"""What every service does with rows: find the one or raise NotFound, lock it, and change it."""

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import Executable, Select

from app.core.db.base import Base, Record
from app.core.errors import NotFound
from app.core.unit_of_work import execute
from app.extensions import db

Entity = TypeVar("Entity", bound=Base)


def one_or_not_found(statement: Executable, values: Mapping[str, Any] | None = None) -> Record:
    """Return the one row of a query, with ``values`` for its parameters. Raises NotFound where there is none."""
    row = execute(statement, values).one_or_none()
    if row is None:
        raise NotFound
    return row


def one_locked(query: Select[Entity]) -> Entity:
    """Return the one entity of a query, locked until the transaction ends. Raises NotFound where there is none."""
    row = db.session.scalars(query.with_for_update()).one_or_none()
    if row is None:
        raise NotFound
    return row


def apply_changes(row: Base, changes: Mapping[str, Any]) -> None:
    """Set the columns that ``changes`` names to its values, and flush."""
    for name, value in changes.items():
        setattr(row, name, value)
    db.session.flush()
