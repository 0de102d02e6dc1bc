"""Every list: paged, with a ceiling, linked, and at a number of queries that does not grow with the page."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert

from app.audit.models import AuditRecord
from app.auth.models import Session
from app.core import clock
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.files.models import File
from app.jobs.models import Job
from app.orders.models import Order, OrderLine
from app.posts.models import Post
from app.products.models import Product
from app.todos.models import Todo
from app.users.models import User
from app.wallet.models import Account, Entry, Transfer
from tests.client import CheckedClient
from tests.conftest import AsUser, Counter
from tests.contract.routes import LISTS, Route, names
from tests.contract.test_dry_run import add_notifications

ROWS = 130


@pytest.fixture
def reader(app: Flask, as_user: AsUser) -> CheckedClient:
    """An admin who finds more than a page of everything."""
    member = as_user("admin")
    assert member.user_id == 1
    rows = range(ROWS)
    fields = {"expires_at": clock.now().replace(year=2999), "last_used_at": clock.now(), "address": "", "agent": ""}
    picture = {"content_type": "image/png", "size": 1, "sha256": "0" * 64, "awaits_thumbnail": False}
    filling: list[tuple[Any, list[dict[str, Any]]]] = [
        (User, [{"name": f"m{i}", "email": f"m{i}@x.example", "email_key": f"m{i}@x.example"} for i in rows]),
        (Post, [{"user_id": 1, "title": f"t{i}", "content": "c"} for i in rows]),
        (Todo, [{"user_id": 1, "task": f"t{i}"} for i in rows]),
        (File, [{"user_id": 1, "name": "f", "storage_key": f"k{i}", **picture} for i in rows]),
        (Session, [{"user_id": 1, **fields} for _ in rows]),
        (AuditRecord, [{"action": "session.failed", "data": {}} for _ in rows]),
        (Product, [{"seller_id": 1, "name": f"p{i}", "price": i, "stock": 1} for i in rows]),
        (Job, [{"user_id": 1, "kind": "purge", "params": {}, "due_at": clock.now()} for _ in rows]),
        (
            Account,
            [{"kind": "issuing", "user_id": None, "balance": -ROWS}, {"kind": "member", "user_id": 1, "balance": ROWS}],
        ),
        (Transfer, [{"kind": "deposit", "receiver_id": 1, "amount": 1} for _ in rows]),
        (Entry, [{"transfer_id": i + 1, "account_id": 2, "amount": 1, "balance_after": i + 1} for i in rows]),
        (Order, [{"buyer_id": 1, "seller_id": 2, "total": 0} for _ in rows]),
        (OrderLine, [{"order_id": i + 1, "product_id": 1, "name": "p", "unit_price": 0, "quantity": 1} for i in rows]),
    ]
    with app.app_context():
        unit_of_work(lambda: [db.session.execute(insert(model), values) for model, values in filling])
    add_notifications(member, ROWS)
    return member


def listed(route: Route, client: CheckedClient, **query: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    assert route.contract.listing
    answer = route.call(client, query_string=query)
    assert answer.status_code == 200
    body = answer.get_json()
    return body[route.contract.listing.name], body


@pytest.mark.parametrize("route", LISTS, ids=names)
def test_a_list_is_paged_by_20_and_at_most_by_100(reader: CheckedClient, route: Route) -> None:
    items, body = listed(route, reader)
    assert (len(items), body["page"], body["per_page"], body["has_more"]) == (20, 1, 20, True)
    assert body["total"] >= ROWS
    items, body = listed(route, reader, per_page=1000)
    assert (len(items), body["per_page"], body["pages"]) == (100, 100, 2)


@pytest.mark.parametrize("route", LISTS, ids=names)
def test_the_pages_together_are_the_list_without_gap_or_repetition(reader: CheckedClient, route: Route) -> None:
    seen: list[int] = []
    url: str | None = f"{route.url}?per_page=37"
    while url:
        answer = reader.get(url)
        assert route.contract.listing
        seen += [item["id"] for item in answer.get_json()[route.contract.listing.name]]
        url = links(answer.headers["Link"]).get("next")
    assert len(seen) == len(set(seen)) == answer.get_json()["total"]
    assert answer.get_json()["has_more"] is False


def links(header: str) -> dict[str, str]:
    parts = (part.partition(">; rel=") for part in header.split(", "))
    return {relation.strip('"'): url.lstrip("<") for url, _, relation in parts}


@pytest.mark.parametrize("route", LISTS, ids=names)
def test_the_links_lead_to_first_previous_next_and_last(reader: CheckedClient, route: Route) -> None:
    header = links(reader.get(f"{route.url}?per_page=50&page=2").headers["Link"])
    assert header == {
        "first": f"{route.url}?per_page=50&page=1",
        "prev": f"{route.url}?per_page=50&page=1",
        "next": f"{route.url}?per_page=50&page=3",
        "last": f"{route.url}?per_page=50&page=3",
    }
    assert "prev" not in links(reader.get(route.url).headers["Link"])
    assert "next" not in links(reader.get(header["last"]).headers["Link"])


def test_a_long_query_leaves_the_links_out_that_are_needed_least(reader: CheckedClient) -> None:
    def relations(name: str, **query: Any) -> set[str]:
        answer = reader.get("/api/v1/posts", query_string={f"{name}__in": ids, "per_page": 1, **query})
        assert len(answer.headers["Link"]) < 3_000 + len(ids)
        found = links(answer.headers["Link"])
        assert all(ids.replace(",", "%2C") in url for url in found.values())
        return set(found)

    ids = ",".join(str(number) for number in range(1, 101))
    assert relations("user_id", page=2) == {"next", "prev", "first", "last"}
    ids = ",".join(["1", *(str(10**17 + number) for number in range(99))])
    assert relations("user_id", page=2) == {"next"}
    assert relations("user_id", page=ROWS) == {"prev"}
    assert relations("user_id", cursor="") == {"next"}


@pytest.mark.parametrize("route", LISTS, ids=names)
def test_a_page_past_the_end_is_empty(reader: CheckedClient, route: Route) -> None:
    items, body = listed(route, reader, page=2**31 - 1, per_page=2**31 - 1)
    assert (items, body["page"], body["has_more"]) == ([], 2**31 - 1, False)


@pytest.mark.parametrize("route", LISTS, ids=names)
@pytest.mark.parametrize("name", ["page", "per_page"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "x", "", " 1", "2147483648", "9" * 5000, "\u0661", "1_0", "+1"])
def test_a_page_that_is_no_number_is_refused(reader: CheckedClient, route: Route, name: str, value: str) -> None:
    answer = route.call(reader, query_string={name: value})
    assert answer.status_code == 400
    assert list(answer.get_json()["errors"]) == [name]


@pytest.mark.parametrize("route", LISTS, ids=names)
def test_unknown_and_repeated_parameters_are_refused(reader: CheckedClient, route: Route) -> None:
    assert route.call(reader, query_string="colour=red").get_json()["code"] == "unknown_parameter"
    assert list(route.call(reader, query_string="page=1&page=1").get_json()["errors"]) == ["page"]


@pytest.mark.parametrize("route", LISTS, ids=names)
def test_the_number_of_queries_does_not_grow_with_the_page(
    reader: CheckedClient, route: Route, count_queries: Counter
) -> None:
    counts = set()
    for size in (1, 10, 100):
        with count_queries() as statements:
            listed(route, reader, per_page=size)
        counts.add(len(statements))
    assert len(counts) == 1
    assert counts.pop() <= 5  # the caller, whose list it is, the total, the page, and what belongs to its items
