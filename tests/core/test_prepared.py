"""Statements that PostgreSQL has planned once for each connection, on a server of their own."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import Select, String, TextClause, bindparam, column, insert, select, table, text
from sqlalchemy.exc import DBAPIError

from app import create_app
from app.core.errors import error_response
from app.core.prepared import prepared
from app.core.transaction import execute, unit_of_work
from tests.conftest import dispose
from tests.postgres import FAST, own_server

THINGS = table("things", column("name", String()))
NAMED = select(THINGS).where(THINGS.c.name == bindparam("name"))
BY_NAME = prepared(NAMED)
NEW = prepared(insert(THINGS).values(name=bindparam("given")))
PLANS = text("SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements")

Ask = Callable[..., list[str]]


@pytest.fixture(scope="module")
def app() -> Iterator[Flask]:
    with own_server(*FAST) as address:
        app = create_app("testing", {"DATABASE_URL": address})
        yield app
        dispose(app)


@pytest.fixture(autouse=True)
def things(app: Flask) -> Iterator[None]:
    with app.app_context():
        unit_of_work(lambda: execute(text("CREATE TABLE things (name varchar(10))")))
        unit_of_work(lambda: execute(NEW, {"given": "100% it's"}))
    yield
    with app.app_context():
        unit_of_work(lambda: execute(text("DROP TABLE things")))
    dispose(app)


def names(app: Flask, statement: Select[str], name: str) -> list[str]:
    with app.app_context():
        return list(execute(statement, {"name": name}).scalars())


def plans(app: Flask) -> dict[str, tuple[int, int]]:
    """Give how often each statement that the reading connection has prepared was planned: for all values, for some."""
    with app.app_context():
        return {row.statement: (row.generic_plans, row.custom_plans) for row in execute(PLANS)}


def test_a_prepared_statement_is_planned_once_whatever_its_values(app: Flask) -> None:
    for name, found in (("100% it's", ["100% it's"]), ("'; --", []), ("%s", [])) * 3:
        assert names(app, BY_NAME, name) == found
    ((statement, counts),) = plans(app).items()
    assert statement.startswith("PREPARE ")
    assert counts == (9, 0)


def test_what_is_made_of_a_prepared_statement_is_not_prepared(app: Flask) -> None:
    assert names(app, BY_NAME.where(THINGS.c.name != ""), "100% it's") == ["100% it's"]
    assert plans(app) == {}


def test_a_statement_that_fails_can_be_sent_again(app: Flask) -> None:
    with app.app_context(), pytest.raises(DBAPIError, match="too long"):
        unit_of_work(lambda: execute(NEW, {"given": "longer than ten"}))
    with app.app_context():
        unit_of_work(lambda: execute(NEW, {"given": "short"}))
    assert names(app, BY_NAME, "short") == ["short"]


OUT_OF_STEP = {
    "the type of a column has changed": text("ALTER TABLE things ALTER name TYPE varchar(20)"),
    "the connection has forgotten it": text("DEALLOCATE ALL"),
}


@pytest.mark.parametrize("change", OUT_OF_STEP.values(), ids=OUT_OF_STEP)
def test_what_is_not_as_it_was_prepared_costs_one_request(app: Flask, change: TextClause) -> None:
    assert names(app, BY_NAME, "100% it's") == ["100% it's"]
    with app.app_context():
        if change.text.startswith("ALTER"):
            unit_of_work(lambda: execute(change))
        else:
            execute(change)  # on the connection that reads
    with pytest.raises(DBAPIError) as refused:
        names(app, BY_NAME, "100% it's")
    with app.test_request_context():
        assert error_response(refused.value).status_code == 503
    assert names(app, BY_NAME, "100% it's") == ["100% it's"]
