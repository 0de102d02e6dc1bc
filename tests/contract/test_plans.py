"""Every list is found along an index, in each order that it publishes: the plan that the database makes is read."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, insert, text

from app.core.parameters import Parameter
from app.core.schema import Boolean, Choice, Timestamp
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.users.models import User
from tests.client import CheckedClient
from tests.conftest import AsUser
from tests.contract.resources import LISTS
from tests.contract.routes import Route
from tests.wallet.test_wallet import fund

Statement = tuple[str, Any]

# With few rows PostgreSQL would rather read and sort them all; it is asked whether it could do without.
OTHER_WAYS = ("seqscan", "sort", "incremental_sort", "bitmapscan", "hashjoin", "mergejoin")
WHOLE_TABLE = re.compile(r"Seq Scan|SCAN (?!anon_)\w+( LEFT-JOIN)?$")
SORTING = re.compile(r"\bSort  |TEMP B-TREE")
MERGING = "MERGE (UNION ALL)"  # SQLite sorts the two pages once more that it has merged.
# Orders for which the rows of one member are sorted: an index would cost every write more than it gives the few reads.
SORTED = {
    "GET /api/v1/users/<id:user_id>/posts": {"title", "updated_at"},
    "own transfers": {"amount"},
}
ORDERS = [
    pytest.param(route, sign + key, id=f"{route} by {sign}{key}")
    for route in LISTS
    if route.contract.listing
    for key in route.contract.listing.sort
    for sign in ("", "-")
]

# Filters with which all rows of a list may be gone through, and why.
UNINDEXED = {
    "GET /api/v1/users role": "Nearly all are members.",
    "GET /api/v1/users is_active": "Nearly all are active.",
    "GET /api/v1/products is_active": "Nearly all are active.",
    "GET /api/v1/products stock": "It changes with each order, which would write the index anew.",
    "GET /api/v1/transfers kind": "There are seven kinds, and only treasurers see more than their own.",
}
FILTERS = [
    pytest.param(route, name, id=f"{route} {name}")
    for route in LISTS
    if route.contract.listing
    for name in route.contract.listing.filters
    if f"{route} {name}" not in UNINDEXED
]
WALKED_INDEX = re.compile(r"Index (Only )?Scan")


def pages_read(app: Flask) -> AbstractContextManager[list[Statement]]:
    """Note the statements, with their values, that read a page."""
    return statements_of(app, lambda statement: "ORDER BY" in statement and "LIMIT" in statement)


@contextmanager
def statements_of(app: Flask, is_meant: Callable[[str], bool]) -> Iterator[list[Statement]]:
    """Note the statements that are meant, with their values."""
    noted: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        if is_meant(statement):
            noted.append((statement, values))

    with app.app_context():
        engines = list(db.engines.values())
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield noted
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


def plan_of(app: Flask, statement: Statement, *avoided: str) -> list[str]:
    """Return the steps of the plan, as the database words them."""
    with app.app_context(), db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement[0]}", statement[1]).all()
            return [row.detail for row in rows]
        for way in avoided:
            connection.execute(text(f"SET LOCAL enable_{way} = off"))
        return list(connection.exec_driver_sql(f"EXPLAIN {statement[0]}", statement[1]).scalars())


def pages_of(app: Flask, client: CheckedClient, route: Route, **query: Any) -> list[Statement]:
    """Return the statements that read the first pages of a list, by number and by cursor."""
    with pages_read(app) as noted:
        first = route.call(client, query_string={**query, "cursor": "", "per_page": 1}).get_json()
        for way in ({"page": 2}, {"cursor": first["next_cursor"]}):
            assert route.call(client, query_string={**query, **way, "count": "none", "per_page": 1}).status_code == 200
    return noted


def assert_walk(app: Flask, pages: list[Statement], what: str, sort: str) -> None:
    """Demand that no page is found by reading a table, or by sorting where that is not known."""
    sorts = sort.removeprefix("-") in SORTED.get(what, ())
    for page in pages:
        plan = plan_of(app, page, *(way for way in OTHER_WAYS if "sort" not in way or not sorts))
        said = "\n".join([page[0], *plan])
        assert not any(WHOLE_TABLE.search(step) for step in plan), said
        assert sorts or MERGING in plan or not any(SORTING.search(step) for step in plan), said


@pytest.mark.parametrize(("route", "sort"), ORDERS)
def test_a_page_is_found_along_an_index(app: Flask, reader: CheckedClient, route: Route, sort: str) -> None:
    pages = pages_of(app, reader, route, sort=sort)
    assert len(pages) == 3
    assert_walk(app, pages, str(route), sort)


def value_for(parameters: tuple[Parameter, ...], name: str) -> str:
    """Return a value that a filter takes."""
    field = next(one.field for one in parameters if one.name == name)
    match field:
        case Choice():
            return str(next(iter(field.choices)))
        case Timestamp():
            return "2026-01-01T00:00:00Z"
        case Boolean():
            return "true"
    return "1"


def assert_searched(plan: list[str], statement: str) -> None:
    """Demand that each table is searched by the keys of an index, and none is gone through, be it along an index."""
    said = "\n".join([statement, *plan])
    assert not any(WHOLE_TABLE.search(step) or re.match(r"SCAN \w+ USING", step) for step in plan), said
    walks = [number for number, step in enumerate(plan) if WALKED_INDEX.search(step)]
    assert all("Index Cond" in "".join(plan[number + 1 : number + 2]) for number in walks), said


@pytest.mark.parametrize(("route", "name"), FILTERS)
def test_a_filter_searches_an_index(app: Flask, reader: CheckedClient, route: Route, name: str) -> None:
    assert route.contract.listing
    value = value_for(route.contract.listing.parameters, name)
    with statements_of(app, lambda statement: "count(" in statement.lower()) as counts:
        assert route.call(reader, query_string={name: value}).status_code == 200
    assert counts
    for count in counts:
        assert_searched(plan_of(app, count, *OTHER_WAYS), count[0])


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "amount", "-amount"])
def test_a_members_own_transfers_are_found_along_two_indexes(app: Flask, as_user: AsUser, sort: str) -> None:
    treasurer, member = as_user("treasurer"), as_user()
    for amount in (1, 2, 3):
        fund(treasurer, member, amount)
    (route,) = [route for route in LISTS if route.rule == "/api/v1/transfers"]
    pages = pages_of(app, member, route, sort=sort)
    assert len(pages) == 3
    assert_walk(app, pages, "own transfers", sort)


@pytest.mark.parametrize("listed", ["users", "posts", "products"])
def test_a_rare_word_is_found_by_the_index_of_trigrams(app: Flask, reader: CheckedClient, listed: str) -> None:
    with pages_read(app) as noted:
        assert reader.get(f"/api/v1/{listed}?q=rare+word&count=none").status_code == 200
    near, by_index = noted
    assert f"{listed}_search" not in "".join(plan_of(app, near, *OTHER_WAYS))
    plan = "".join(plan_of(app, by_index, "seqscan", "indexscan"))
    assert f"Bitmap Index Scan on ix_{listed}_search_text" in plan or f"SCAN {listed}_search VIRTUAL TABLE" in plan


def test_what_many_rows_contain_is_found_without_the_index(app: Flask, reader: CheckedClient) -> None:
    with app.app_context():
        rows = [{"name": f"Member {i}", "email": f"o{i}@x.example", "email_key": f"o{i}@x.example"} for i in range(2)]
        unit_of_work(lambda: db.session.execute(insert(User), rows))
    with pages_read(app) as noted:
        assert reader.get("/api/v1/users?q=MEMBER&count=none&per_page=1").get_json()["has_more"]
    assert len(noted) == 1
