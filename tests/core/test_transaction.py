"""The unit of work: all or nothing, tried again when the database asks for it, and the only one that writes."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from app.core.db.base import table_of
from app.core.errors import AppError, Conflict
from app.core.unit_of_work import execute, savepoint, unit_of_work
from app.extensions import db
from app.users.models import User

VALUES = {"name": "A member", "email": "a@example.com", "email_key": "a@example.com"}


class RefusalError(Exception):
    """What psycopg2 raises, as far as we look at it."""

    def __init__(self, pgcode: str) -> None:
        self.pgcode = pgcode


def refusal(pgcode: str) -> DBAPIError:
    return OperationalError("UPDATE", {}, RefusalError(pgcode))


def names() -> list[str]:
    return list(db.session.scalars(select(User.name)))


def test_what_succeeds_is_kept(app: Flask) -> None:
    with app.app_context():
        unit_of_work(lambda: db.session.execute(insert(User).values(VALUES)))
        assert names() == ["A member"]


@pytest.mark.parametrize("error", [RuntimeError(), Conflict()])
def test_what_fails_leaves_nothing(app: Flask, error: Exception) -> None:
    def work() -> None:
        db.session.execute(insert(User).values(VALUES))
        raise error

    with app.app_context():
        with pytest.raises(type(error)):
            unit_of_work(work)
        assert names() == []


def test_an_error_that_says_so_keeps_its_trace(app: Flask) -> None:
    def work() -> None:
        db.session.execute(insert(User).values(VALUES))
        raise Conflict(keeps_changes=True)

    with app.app_context():
        with pytest.raises(AppError):
            unit_of_work(work)
        assert names() == ["A member"]


@pytest.mark.parametrize("pgcode", ["40001", "40P01"])
def test_a_transaction_that_the_database_refuses_is_run_again_from_its_beginning(app: Flask, pgcode: str) -> None:
    attempts: list[Any] = []

    def work() -> None:
        attempts.append(names())
        db.session.execute(insert(User).values(VALUES))
        if len(attempts) < 3:
            raise refusal(pgcode)

    with app.app_context():
        unit_of_work(work)
        assert attempts == [[], [], []]
        assert names() == ["A member"]


@pytest.mark.parametrize(("pgcode", "expected"), [("40001", 3), ("57014", 1)])
def test_no_transaction_is_tried_for_ever(app: Flask, pgcode: str, expected: int) -> None:
    attempts: list[None] = []

    def work() -> None:
        attempts.append(None)
        raise refusal(pgcode)

    with app.app_context(), pytest.raises(OperationalError):
        unit_of_work(work)
    assert len(attempts) == expected


@pytest.mark.parametrize("in_use", [True, False])
def test_a_savepoint_undoes_entities_too_and_nothing_else(app: Flask, *, in_use: bool) -> None:
    def work() -> None:
        execute(insert(table_of(User)), VALUES)
        if in_use:
            db.session.scalars(select(User)).one().name = "Another name"
        with pytest.raises(IntegrityError), savepoint():
            db.session.add(User(**{**VALUES, "name": "Of the same address"}))
        execute(insert(table_of(User)), {**VALUES, "email_key": "b@example.com"})

    with app.app_context():
        unit_of_work(work)
        assert sorted(names()) == ["A member", "Another name" if in_use else "A member"]


def test_nothing_is_written_outside_a_unit_of_work(app: Flask) -> None:
    with app.app_context(), pytest.raises(DBAPIError, match=r"read-?only"):
        db.session.execute(insert(User).values(VALUES))


def test_a_text_longer_than_its_column_is_refused_by_the_database_itself(app: Flask) -> None:
    with app.app_context(), pytest.raises(DBAPIError):
        unit_of_work(lambda: db.session.execute(insert(User).values({**VALUES, "name": "x" * 81})))


def test_foreign_keys_are_checked(app: Flask) -> None:
    todo = text("INSERT INTO todos (user_id, task, done, created_at, updated_at) VALUES (9, 'x', false, :now, :now)")
    with app.app_context(), pytest.raises(DBAPIError, match=r"(?i)foreign key"):
        unit_of_work(lambda: db.session.execute(todo, {"now": "2026-01-01 00:00:00+00"}))
