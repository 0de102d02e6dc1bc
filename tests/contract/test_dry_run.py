"""Dry runs: every JSON write below /api/v1 answers as it would, and leaves no trace."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.core.db.base import Base
from app.extensions import db
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser
from tests.contract.resources import KNOWN, prepare, sent_to
from tests.contract.routes import ROUTES, Route, names

Json = dict[str, Any]

DRY = {"dry_run": "true"}
KEY = {"Idempotency-Key": "a-key"}
OTHER = {"If-Match": '"another"'}
POST = {"title": "t", "content": "c"}
ACCOUNT = {"email": "new@example.com", "name": "New", "password": PASSWORD}
WRITES = [
    route
    for route in KNOWN
    if route.method != "GET" and route.rule.startswith("/api/v1/") and not route.contract.upload
]
ELSEWHERE = [
    route
    for route in ROUTES
    if route.method != "GET" and (not route.rule.startswith("/api/v1/") or route.contract.upload)
]
READS = [route for route in ROUTES if route.method == "GET"]


@pytest.fixture
def member(as_user: AsUser) -> CheckedClient:
    """A member with the number 1 of posts and todos."""
    member = as_user()
    for url, body in (("posts", POST), ("todos", {"task": "x"})):
        assert member.post(f"/api/v1/{url}", json=body).get_json()["id"] == 1
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
    prepare(route, owner)
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
    prepare(route, owner)
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
    (400, "POST", "users", {"json": {**ACCOUNT, "password": "weak"}}),
    (400, "PATCH", "users/1", {"json": {"email": "other@example.com"}}),
    (401, "POST", "todos", {"json": {"task": "x"}, "headers": {"Authorization": "Bearer x"}}),
    (403, "POST", "posts", {"json": {**POST, "is_hidden": True}}),
    (403, "PATCH", "users/1", {"json": {"role": "admin"}}),
    (403, "DELETE", "users/2", {}),
    (404, "DELETE", "users/7", {}),
    (404, "PATCH", "todos/7", {"json": {}}),
    (409, "POST", "users", {"json": {**ACCOUNT, "email": "MEMBER1@example.com"}}),
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
