"""What is private stays so: whatever a stranger asks, no answer has a word or a number of another member's."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from marshmallow import fields
from sqlalchemy import JSON, CheckConstraint, Column, ColumnElement, String, Table, false, select, true, update

from app.core.db.base import Base
from app.core.parameters import CommaSeparated
from app.core.schema import Choice
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.files.models import File
from app.posts.models import Post
from app.products.models import Product
from app.users.models import User
from tests.client import CheckedClient
from tests.conftest import AsUser, new_client
from tests.contract.matrix import CASES
from tests.contract.resources import LISTS
from tests.contract.routes import ROUTES, Route, names
from tests.contract.things import MARK, Things, created

Json = dict[str, Any]

BALANCE, ADDRESS = 918_273_645, "203.0.113.77"
MARKS = [str(private).encode() for private in (MARK, BALANCE, ADDRESS)]
# What a request tells of its sender, which the audit log keeps; no row of that can be marked later.
SENDER = {"HTTP_X_REQUEST_ID": f"{MARK}-request", "HTTP_USER_AGENT": MARK, "REMOTE_ADDR": ADDRESS}
# Tables in which there is nothing of a member's, and those whose rows never change.
UNMARKED = {"heartbeats", "ledger_checks", "rates", "audit"}
OWN_WORDS = {"kind", "queue", "storage_key", "thumbnail_key", "result_key"}
# All other texts are private. These are public, of the rows of which that is true.
PUBLIC: dict[str, tuple[ColumnElement[bool], set[str]]] = {
    "users": (User.is_active.is_(True), {"name", "search_text"}),
    "posts": (Post.is_hidden.is_(False), {"title", "content", "search_text"}),
    "products": (Product.withdrawn_at.is_(None), {"name", "description", "search_text"}),
    "files": (File.is_public.is_(True), {"name", "content_type", "sha256"}),
}
ROUTE_OF = {str(route): route for route in ROUTES}
READS = [case for case in CASES if case.method == "GET" and case.route in ROUTE_OF]


def mark_all() -> None:
    """Put the mark into every private text there is."""
    for table in Base.metadata.sorted_tables:
        is_public, public = PUBLIC.get(table.name, (false(), set()))
        for column in private_texts(table):
            mark(table, column, ~is_public if column.name in public else true())


def mark(table: Table, column: Column[Any], where: ColumnElement[bool]) -> None:
    """Mark a column of the rows where that is true: texts that are unique stay so, and objects keep their members."""
    (key,) = table.primary_key
    for number, text in db.session.execute(select(key, column).where(where)).all():
        marked = {**text, "mark": MARK} if isinstance(text, dict) else f"{MARK}-{number}"
        marked = f"{marked}@x.example" if column.name == "email" else marked
        if text:
            db.session.execute(update(table).where(key == number).values({column.name: marked}))


def private_texts(table: Table) -> Iterator[Column[Any]]:
    """Yield the columns that hold texts, but for keys and the service's own words."""
    checks = [str(check.sqltext) for check in table.constraints if isinstance(check, CheckConstraint)]
    for column in table.columns if table.name not in UNMARKED else ():
        is_own = column.name in OWN_WORDS or any(check.startswith(f"{column.name} IN") for check in checks)
        if isinstance(column.type, String | JSON) and not (column.primary_key or is_own):
            yield column


@pytest.fixture
def victim(app: Flask, as_user: AsUser) -> Things:
    """A member with one of everything, in which every private text has the mark."""
    member, helper = as_user(), as_user("admin")
    for client in (member, helper):
        client.environ_base |= SENDER
    things = Things(member, helper)
    balance = member.get("/api/v1/wallet").get_json()["balance"]
    created(helper, "deposits", user_id=member.user_id, amount=BALANCE - balance)
    with app.app_context():
        unit_of_work(mark_all)
    return things


@pytest.fixture(params=["anonymous", "plain"])
def stranger(request: pytest.FixtureRequest, app: Flask, as_user: AsUser, victim: Things) -> CheckedClient:
    """Somebody who has nothing to do with the victim: an anonymous caller, or a plain member."""
    assert victim
    return new_client(app) if request.param == "anonymous" else as_user()


def queries(route: Route) -> Iterator[Json]:
    """Yield queries that show all that a list can show, in each of its orders, and narrowed by each of its filters."""
    yield {}
    for parameter in route.contract.listing.parameters if route.contract.listing else ():
        if parameter.name == "cursor":
            yield {"cursor": ""}
        elif isinstance(parameter.field, CommaSeparated) and isinstance(parameter.field.item, Choice):
            choices = parameter.field.item.choices
            yield from ({parameter.name: choice} for choice in (*choices, ",".join(choices[:: len(choices) // 2])))
        else:
            yield {parameter.name: value_of(parameter.field)}


def value_of(field: Any) -> str:
    """Return a value that a query parameter takes."""
    match field:
        case CommaSeparated():
            return value_of(field.item)
        case Choice():
            return str(field.choices[0])
        case fields.Boolean():
            return "true"
        case fields.Integer():
            return "1"
        case fields.DateTime():
            return "2000-01-01T00:00:00Z"
    return "a"


def is_marked(answer: Any) -> bool:
    """Return whether a private text or number is in an answer."""
    shown = (str(answer.headers).encode() + answer.data).lower()
    return any(private in shown for private in MARKS)


def test_no_read_shows_a_stranger_what_is_private(victim: Things, stranger: CheckedClient) -> None:
    shown = [
        f"{case.route} ({case.about}) {query}"
        for case in READS
        for query in queries(ROUTE_OF[case.route])
        if is_marked(stranger.get(victim.url(ROUTE_OF[case.route], case.about), query_string=query))
    ]
    assert not shown, "\n".join(["Here a stranger is shown what is private to another member:", *shown])


def test_what_is_private_is_marked(victim: Things) -> None:
    """The test above can fail: the member is shown the marks wherever something is private."""
    unmarked = {
        case.route
        for case in READS
        if case.answers["member"] == "yes/404"
        or case.path in ("/auth/me", "/auth/sessions", "/api/v1/wallet", "/api/v1/audit")
        if not is_marked(FlaskClient.open(victim.member, victim.url(ROUTE_OF[case.route], case.about)))
    }
    assert not unmarked


@pytest.mark.parametrize("route", LISTS, ids=names)
def test_a_search_for_what_is_private_finds_nothing(victim: Things, stranger: CheckedClient, route: Route) -> None:
    assert route.contract.listing
    answer = stranger.get(victim.url(route), query_string={"q": MARK}).get_json()
    assert answer.get(route.contract.listing.name, []) == []
    assert answer.get("total", 0) == 0


@pytest.mark.parametrize("route", LISTS, ids=names)
def test_what_is_private_neither_sorts_nor_filters(victim: Things, stranger: CheckedClient, route: Route) -> None:
    listing = route.contract.listing
    assert listing
    public = listing.schema().fields.keys() - listing.schema.private
    usable = {name: filter_.column for name, filter_ in listing.filters.items() if filter_.permission is None}
    for name, column in {**usable, **listing.sort}.items():
        assert {name, column.key} <= public, f"{route} is sorted or filtered by {name}, which is not shown to all"
    if stranger.get(victim.url(route)).status_code == 200:
        for query in ({key: value} for name in listing.schema.private for key, value in ((name, "1"), ("sort", name))):
            assert stranger.get(victim.url(route), query_string=query).status_code == 400, f"{route} takes {query}"
