"""Statements that PostgreSQL has planned once for each connection, on a server of their own."""

import gc
import signal
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import (
    Column,
    Float,
    Integer,
    MetaData,
    PickleType,
    Select,
    String,
    Table,
    TextClause,
    bindparam,
    event,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError, OperationalError, StatementError

from app import create_app
from app.core.db.engines import READS, connection_of
from app.core.db.prepared import prepared
from app.core.http.error_handler import error_response
from app.core.unit_of_work import execute, snapshot, unit_of_work
from app.extensions import db
from tests.conftest import dispose
from tests.postgres import FAST, own_server

THINGS = Table(
    "things",
    MetaData(),
    Column("name", String(), default="nameless"),
    Column("size", Integer(), default=lambda context: len(context.get_current_parameters()["name"])),
    Column("extra", PickleType()),
)
NAMED = select(THINGS.c.name).where(THINGS.c.name == bindparam("name"))
BY_NAME = prepared(NAMED)
NEW = prepared(insert(THINGS).values(name=bindparam("given"), size=0))
ANY_NEW = prepared(insert(THINGS).returning(THINGS.c.name, THINGS.c.size))
SLEEP = prepared(select(func.pg_sleep(bindparam("seconds", type_=Float())).cast(String()).label("slept")))
PLANS = text("SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements")

Ask = Callable[..., list[str]]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with own_server(*FAST) as address:
        yield address


@pytest.fixture
def app(address: str) -> Iterator[Flask]:
    app = create_app("testing", {"DATABASE_URL": address})
    with app.app_context():
        unit_of_work(lambda: execute(text("CREATE TABLE things (name varchar(10), size integer, extra bytea)")))
        unit_of_work(lambda: execute(NEW, {"given": "100% it's"}))
    yield app
    with app.app_context():
        unit_of_work(lambda: execute(text("DROP TABLE things")))
    dispose(app)


def names(app: Flask, statement: Select[str], name: str) -> list[str]:
    with app.app_context():
        return list(execute(statement, {"name": name}).scalars())


def plans(app: Flask) -> dict[str, tuple[int, int]]:
    """Return how often each statement of the reading connection was planned: for all values, for some."""
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


@pytest.mark.parametrize(
    ("values", "written"),
    [({"name": "four"}, ("four", 4)), ({"size": 7}, ("nameless", 7)), ({"name": "six", "size": 6}, ("six", 6))] * 2,
)
def test_an_insert_of_any_columns_has_the_defaults_of_the_others(
    app: Flask, values: dict[str, Any], written: tuple[str, int]
) -> None:
    with app.app_context():
        assert tuple(unit_of_work(lambda: execute(ANY_NEW, values).one())) == written


def test_a_value_that_is_missing_is_refused(app: Flask) -> None:
    assert names(app, BY_NAME, "short") == []
    with app.app_context(), pytest.raises(StatementError, match="name"):
        execute(BY_NAME, {})


def test_a_column_that_has_to_be_converted_is_refused(app: Flask) -> None:
    with app.app_context(), pytest.raises(TypeError, match="convert"):
        execute(prepared(select(THINGS)))


def test_a_statement_that_nobody_needs_any_more_is_forgotten(app: Flask) -> None:
    statement = prepared(NAMED.limit(1))
    assert names(app, statement, "100% it's") == ["100% it's"]
    seen = weakref.ref(statement)
    del statement
    gc.collect()
    assert seen() is None


def test_who_listens_to_what_is_sent_hears_it(app: Flask) -> None:
    heard = []
    with app.app_context():
        event.listen(db.engines[READS], "before_cursor_execute", lambda *told: heard.append(told[2]))
    assert names(app, BY_NAME, "100% it's") == ["100% it's"]
    assert len(heard) == 1


class Interrupted(Exception):
    """Something that is raised by a signal, as the limit on a job's time is."""


def in_snapshot() -> None:
    with snapshot():
        execute(SLEEP, {"seconds": 60.0})


WAITS: dict[str, Callable[[], object]] = {
    "reading": lambda: execute(SLEEP, {"seconds": 60.0}),
    "in one moment": in_snapshot,
    "in a unit of work": lambda: unit_of_work(lambda: execute(SLEEP, {"seconds": 60.0})),
    "by SQLAlchemy": lambda: execute(text("SELECT pg_sleep(60)")),
    "by SQLAlchemy in a unit of work": lambda: unit_of_work(lambda: execute(text("SELECT pg_sleep(60)"))),
}


@pytest.mark.parametrize("interruption", [Interrupted, KeyboardInterrupt])
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_what_interrupts_a_wait_comes_out_as_it_is_and_the_next_statement_goes_on(
    app: Flask, wait: Callable[[], object], interruption: type[BaseException]
) -> None:
    def interrupt(*_: object) -> None:
        raise interruption

    before = signal.signal(signal.SIGALRM, interrupt)
    with app.app_context():
        execute(BY_NAME, {"name": "a"})
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(interruption):
            wait()
        signal.signal(signal.SIGALRM, before)
        assert unit_of_work(lambda: execute(BY_NAME, {"name": "100% it's"}).scalar()) == "100% it's"
    assert names(app, BY_NAME, "100% it's") == ["100% it's"]


def test_a_connection_that_the_server_ends_is_told_of_as_the_server_says_it(app: Flask) -> None:
    with app.app_context(), pytest.raises(OperationalError, match="terminating connection") as ended:
        execute(prepared(select(func.pg_terminate_backend(func.pg_backend_pid()).label("ended"))))
    assert ended.value.connection_invalidated
    assert names(app, BY_NAME, "100% it's") == ["100% it's"]


def test_what_is_written_after_a_rollback_is_kept(app: Flask) -> None:
    def work() -> None:
        connection_of(db).rollback()
        execute(NEW, {"given": "later"})

    with app.app_context():
        unit_of_work(work)
    assert names(app, BY_NAME, "later") == ["later"]


def test_several_rows_can_be_written_at_once(app: Flask) -> None:
    with app.app_context():
        unit_of_work(lambda: execute(NEW, [{"given": "one"}, {"given": "two"}]))
    assert [names(app, BY_NAME, name) for name in ("one", "two")] == [["one"], ["two"]]


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
