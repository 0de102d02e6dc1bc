"""Dry runs: every JSON write below /api/v1 answers as it would, and leaves no trace."""

from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import insert, select

from app.core.db.base import Base
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.notifications.models import Notification
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser, ask_for_job
from tests.contract.routes import ROUTES, Route, names

Json = dict[str, Any]

DRY = {"dry_run": "true"}
KEY = {"Idempotency-Key": "a-key"}
DELETION = "DELETE /api/v1/users/<id:user_id>"
OTHER = {"If-Match": '"another"'}
WRITES = [
    route
    for route in ROUTES
    if route.method != "GET" and route.rule.startswith("/api/v1/") and not route.contract.upload
]
ELSEWHERE = [route for route in ROUTES if route.method != "GET" and route not in WRITES]
READS = [route for route in ROUTES if route.method == "GET"]
# What is sent to each write, by the last word of its path.
BODIES: dict[str, Json] = {
    "users": {"email": "new@example.com", "name": "New", "password": PASSWORD},
    "user_id": {"name": "Renamed"},
    "posts": {"title": "t", "content": "c"},
    "post_id": {"title": "t", "content": "changed"},
    "todos": {"task": "x"},
    "todo_id": {"task": "changed", "done": True},
    "products": {"name": "Honey", "price": 7, "stock": 50},
    "product_id": {"name": "Honey", "price": 8, "stock": 40},
    "orders": {"lines": [{"product_id": 1, "quantity": 2}]},
    "deposits": {"user_id": 1, "amount": 100},
    "withdrawals": {"user_id": 1, "amount": 9},
    "transfers": {"receiver_id": 2, "amount": 11},
    "notification_id": {"read": True},
    "imports": {"kind": "products", "file_id": 1, "mode": "partial"},
    "reports": {"kind": "statement", "format": "csv"},
}


def uploaded() -> Json:
    """Return what uploads a picture."""
    return {"data": {"file": (BytesIO(PICTURE), "red.png")}}


def sent_to(route: Route) -> Json:
    """Return what makes a write below /api/v1 succeed."""
    if route.contract.upload:
        return uploaded()
    word = route.rule.rpartition("/")[2].removeprefix("<id:").removesuffix(">")
    return {"json": BODIES[word]} if route.contract.body else {}


def _picture() -> bytes:
    made = BytesIO()
    Image.new("RGB", (8, 8), "red").save(made, "PNG")
    return made.getvalue()


PICTURE = _picture()


def stocked(as_user: AsUser) -> CheckedClient:
    """Return an admin who has the number 1 of everything, and may do anything with it, and of each two more."""
    admin, seller = as_user("admin"), as_user("admin")
    assert (admin.user_id, seller.user_id) == (1, 2)
    for word in ("posts", "todos", "products", "deposits", "orders", "transfers") * 3:
        member = seller if word == "products" else admin
        assert member.post(f"/api/v1/{word}", json=BODIES[word]).status_code == 201
    assert [ask_for_job(admin) for _ in range(3)] == [1, 2, 3]
    assert admin.post("/api/v1/files", **uploaded()).status_code == 201
    add_notifications(admin, 3)
    assert admin.post("/auth/login", json={"email": admin.email, "password": PASSWORD}).status_code == 200
    return admin


def add_notifications(member: CheckedClient, number: int) -> None:
    """Let the member be told of transfers."""
    data = {"transfer_id": 1, "kind": "deposit", "sender_id": None, "receiver_id": member.user_id, "amount": 1}
    rows = [{"user_id": member.user_id, "kind": "transfer_received", "data": data} for _ in range(number)]
    with member.application.app_context():
        unit_of_work(lambda: db.session.execute(insert(Notification), rows))


def empty_the_account(admin: CheckedClient) -> None:
    """Let nothing keep the stocked admin from being deleted."""
    for number in (1, 2, 3):
        assert admin.post(f"/api/v1/orders/{number}/cancellation").status_code == 200
    left = {"user_id": 1, "amount": admin.get("/api/v1/wallet").get_json()["balance"]}
    assert admin.post("/api/v1/withdrawals", json=left).status_code == 201


@pytest.fixture
def owner(as_user: AsUser) -> CheckedClient:
    """An admin with the number 1 of everything."""
    return stocked(as_user)


@pytest.fixture
def member(as_user: AsUser) -> CheckedClient:
    """A member with the number 1 of posts and todos."""
    member = as_user()
    for url in ("posts", "todos"):
        assert member.post(f"/api/v1/{url}", json=BODIES[url]).get_json()["id"] == 1
    return member


def everything(app: Flask) -> dict[str, list[Any]]:
    """Return all that is stored."""
    with app.app_context():
        return {
            table.name: list(db.session.execute(select(table).order_by(*table.primary_key)))
            for table in Base.metadata.sorted_tables
        }


@pytest.mark.parametrize("route", WRITES, ids=names)
def test_a_dry_run_answers_as_the_write_and_leaves_no_trace(app: Flask, owner: CheckedClient, route: Route) -> None:
    if str(route) == DELETION:
        empty_the_account(owner)
    before = everything(app)
    dry = route.call(owner, query_string=DRY, headers=KEY, **sent_to(route))
    assert everything(app) == before
    real = route.call(owner, **sent_to(route))
    assert everything(app) != before
    assert (dry.status_code, dry.mimetype) == (real.status_code, real.mimetype)
    assert 200 <= dry.status_code < 300
    assert (dry.headers["Dry-Run"], "Dry-Run" in real.headers) == ("true", False)
    assert not {"Location", "ETag"} & set(dry.headers.keys())
    if real.status_code == 204:
        assert dry.data == real.data == b""
        return
    as_it_would = real.get_json() | ({"id": None} if real.status_code in (201, 202) else {})
    moments = {"created_at", "updated_at", "finished_at"}
    answered = dry.get_json()
    assert answered.keys() == as_it_would.keys()
    assert {name: value for name, value in answered.items() if name not in moments} == {
        name: value for name, value in as_it_would.items() if name not in moments
    }


@pytest.mark.parametrize("route", WRITES, ids=names)
def test_a_run_that_is_said_not_to_be_dry_is_the_write(app: Flask, owner: CheckedClient, route: Route) -> None:
    if str(route) == DELETION:
        empty_the_account(owner)
    before = everything(app)
    answer = route.call(owner, query_string={"dry_run": "false"}, **sent_to(route))
    assert (answer.status_code < 300, "Dry-Run" in answer.headers) == (True, False)
    assert everything(app) != before


@pytest.mark.parametrize("route", WRITES, ids=names)
def test_what_is_neither_true_nor_false_is_refused(app: Flask, owner: CheckedClient, route: Route) -> None:
    before = everything(app)
    for query in ("dry_run=1", "dry_run=TRUE", "dry_run=", "dry_run", "dry_run=true&dry_run=true"):
        answer = route.call(owner, query_string=query, **sent_to(route))
        assert (answer.status_code, list(answer.get_json()["errors"])) == (400, ["dry_run"])
    assert everything(app) == before


@pytest.mark.parametrize("route", [*ELSEWHERE, *READS], ids=names)
def test_what_is_no_write_below_the_api_knows_no_dry_run(app: Flask, as_user: AsUser, route: Route) -> None:
    admin = as_user("admin")
    before = everything(app)
    assert route.call(admin, query_string=DRY, json={}).status_code in (400, 401)
    assert everything(app) == before


REFUSED: list[tuple[int, str, str, Json]] = [
    (400, "POST", "todos", {"json": {}}),
    (400, "POST", "todos", {"json": {"task": "x", "id": 5}}),
    (400, "POST", "todos", {"data": b"{", "content_type": "application/json"}),
    (400, "POST", "todos", {"json": {"task": "x"}, "headers": {"Idempotency-Key": "x" * 256}}),
    (400, "POST", "users", {"json": {**BODIES["users"], "password": "weak"}}),
    (400, "PATCH", "users/1", {"json": {"email": "other@example.com"}}),
    (401, "POST", "todos", {"json": {"task": "x"}, "headers": {"Authorization": "Bearer x"}}),
    (403, "POST", "posts", {"json": {**BODIES["posts"], "is_hidden": True}}),
    (403, "PATCH", "users/1", {"json": {"role": "admin"}}),
    (403, "DELETE", "users/2", {}),
    (404, "DELETE", "users/7", {}),
    (404, "PATCH", "todos/7", {"json": {}}),
    (409, "POST", "users", {"json": {**BODIES["users"], "email": "MEMBER1@example.com"}}),
    (412, "PUT", "todos/1", {"json": {"task": "y"}, "headers": OTHER}),
    (412, "PATCH", "posts/1", {"json": {"title": "y"}, "headers": OTHER}),
    (412, "DELETE", "users/1", {"headers": OTHER}),
    (413, "POST", "todos", {"data": b'"' + b"x" * 1_048_576 + b'"', "content_type": "application/json"}),
    (415, "POST", "todos", {"data": b"{}", "content_type": "text/plain"}),
]


@pytest.mark.parametrize(("status", "method", "url", "sent"), REFUSED)
def test_a_dry_run_is_refused_as_the_write_would_be(
    app: Flask, member: CheckedClient, as_user: AsUser, status: int, method: str, url: str, sent: Json
) -> None:
    as_user()
    before = everything(app)
    dry = member.open(f"/api/v1/{url}", method=method, query_string=DRY, **sent)
    real = member.open(f"/api/v1/{url}", method=method, **sent)
    told = [{k: v for k, v in answer.get_json().items() if k != "request_id"} for answer in (dry, real)]
    assert dry.status_code == real.status_code == status
    assert told[0] == told[1]
    assert everything(app) == before


def test_the_last_admin_is_not_deleted_even_in_a_dry_run(as_user: AsUser) -> None:
    admin = as_user("admin")
    answer = admin.delete("/api/v1/users/1", query_string=DRY)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "last_admin")
    assert answer.headers["Dry-Run"] == "true"


def test_a_dry_run_matches_what_the_client_has_seen(member: CheckedClient) -> None:
    seen = {"If-Match": member.get("/api/v1/todos/1").headers["ETag"]}
    dry = member.patch("/api/v1/todos/1", query_string=DRY, json={"task": "changed"}, headers=seen)
    assert (dry.status_code, dry.get_json()["task"]) == (200, "changed")
    assert member.patch("/api/v1/todos/1", json={"task": "really"}, headers=seen).status_code == 200


def test_a_dry_run_leaves_the_key_for_the_write(member: CheckedClient) -> None:
    for _ in range(2):
        dry = member.post("/api/v1/todos", query_string=DRY, json={"task": "y"}, headers=KEY)
        assert (dry.status_code, dry.get_json()["id"], "Idempotent-Replayed" in dry.headers) == (201, None, False)
    real = member.post("/api/v1/todos", json={"task": "another"}, headers=KEY)
    assert (real.status_code, "Idempotent-Replayed" in real.headers) == (201, False)
