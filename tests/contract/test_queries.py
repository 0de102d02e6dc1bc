"""The number of SQL statements of each route is fixed: a new route fails here until its number is known."""

from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from app.core import clock
from app.core.clients import storage
from app.core.db import prepared
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.files.service import make_thumbnail
from app.jobs.models import Job
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser, Counter, use_token
from tests.contract.routes import ROUTES, Route, names
from tests.contract.test_dry_run import empty_the_account, sent_to, stocked

Json = dict[str, Any]

# Where they differ: on SQLite, on PostgreSQL.
QUERIES: dict[str, int | tuple[int, int]] = {
    "POST /auth/login": 6,
    "POST /auth/refresh": 6,
    "POST /auth/logout": 3,
    "POST /auth/session": 6,
    "PUT /auth/session": 6,
    "GET /auth/session": 1,
    "DELETE /auth/session": 3,
    "POST /auth/confirm": 4,
    "GET /auth/me": 1,
    "DELETE /auth/sessions": 3,
    "GET /auth/sessions": 3,
    "DELETE /auth/sessions/<id:session_id>": 3,
    "GET /auth/permissions": 1,
    "GET /api/v1/users": 3,
    "POST /api/v1/users": 1,
    "DELETE /api/v1/users/<id:user_id>": 20,
    "GET /api/v1/users/<id:user_id>": 2,
    "PATCH /api/v1/users/<id:user_id>": 6,
    "PUT /api/v1/users/<id:user_id>": 6,
    "GET /api/v1/users/<id:user_id>/sessions": 4,
    "DELETE /api/v1/users/<id:user_id>/sessions": 4,
    "DELETE /api/v1/users/<id:user_id>/sessions/<id:session_id>": 3,
    "GET /api/v1/users/<id:user_id>/posts": 4,
    "GET /api/v1/posts": 3,
    "POST /api/v1/posts": 2,
    "DELETE /api/v1/posts/<id:post_id>": 4,
    "GET /api/v1/posts/<id:post_id>": 2,
    "PATCH /api/v1/posts/<id:post_id>": 5,
    "PUT /api/v1/posts/<id:post_id>": 5,
    "GET /api/v1/todos": 3,
    "POST /api/v1/todos": 2,
    "DELETE /api/v1/todos/<id:todo_id>": 3,
    "GET /api/v1/todos/<id:todo_id>": 2,
    "PATCH /api/v1/todos/<id:todo_id>": 3,
    "PUT /api/v1/todos/<id:todo_id>": 3,
    "GET /api/v1/files": 3,
    "POST /api/v1/files": 6,
    "DELETE /api/v1/files/<id:file_id>": 5,
    "GET /api/v1/files/<id:file_id>": 2,
    "GET /api/v1/files/<id:file_id>/content": 2,
    "GET /api/v1/files/<id:file_id>/thumbnail": 2,
    "GET /api/v1/products": 3,
    "POST /api/v1/products": 2,
    "DELETE /api/v1/products/<id:product_id>": 5,
    "GET /api/v1/products/<id:product_id>": 2,
    "PATCH /api/v1/products/<id:product_id>": 5,
    "PUT /api/v1/products/<id:product_id>": 5,
    "GET /api/v1/rates/<string:currency>": 1,  # the community's own
    "GET /api/v1/orders": 4,
    "POST /api/v1/orders": (12, 10),
    "GET /api/v1/orders/<id:order_id>": 3,
    "POST /api/v1/orders/<id:order_id>/completion": (11, 9),
    "POST /api/v1/orders/<id:order_id>/cancellation": (14, 12),
    "GET /api/v1/jobs": 3,
    "GET /api/v1/jobs/<id:job_id>": 2,
    "GET /api/v1/jobs/<id:job_id>/result": 2,
    "POST /api/v1/jobs/<id:job_id>/cancellation": 5,
    "GET /api/v1/notifications": 3,
    "GET /api/v1/notifications/<id:notification_id>": 2,
    "PATCH /api/v1/notifications/<id:notification_id>": 4,
    "POST /api/v1/imports": 4,
    "POST /api/v1/reports": 3,
    "GET /api/v1/wallet": 2,
    "GET /api/v1/wallet/entries": 3,
    "GET /api/v1/users/<id:user_id>/wallet": 2,
    "GET /api/v1/users/<id:user_id>/wallet/entries": 4,
    "GET /api/v1/transfers": 3,
    "POST /api/v1/transfers": (6, 4),
    "GET /api/v1/transfers/<id:transfer_id>": 2,
    "POST /api/v1/transfers/<id:transfer_id>/reversal": (8, 6),
    "POST /api/v1/deposits": (7, 5),
    "POST /api/v1/withdrawals": (6, 4),
    "GET /api/v1/ledger": 3,
    "GET /api/v1/audit": 3,
    "GET /": 0,
    "GET /docs": 0,
    "GET /docs/<string:name>": 0,
    "GET /openapi.json": 0,
    "GET /health": 0,
    "GET /health/ready": 5,  # one more asks PostgreSQL whether there is a table of migrations
    "GET /metrics": 2,
}


@pytest.fixture
def owner(as_user: AsUser) -> CheckedClient:
    """An admin with the number 1 of everything."""
    return stocked(as_user)


def make_result(job_id: int) -> None:
    """Let a job have made a file."""
    file = {"result_key": storage.put(BytesIO(b"a,b"), "results"), "result_name": "a.csv", "result_type": "text/csv"}
    ended = {"status": "succeeded", "finished_at": clock.now(), "result_size": 3, **file}
    db.session.execute(update(Job).where(Job.id == job_id).values(ended))


def made_to_succeed(route: Route, client: CheckedClient) -> Json:
    """Prepare what the route needs, and return what is sent to it."""
    credentials = {"email": client.email, "password": PASSWORD}
    match str(route):
        case "POST /auth/login":
            return {"json": credentials}
        case "POST /auth/session":
            return {"json": {**credentials, "remember": True}}
        case "POST /auth/confirm":
            return {"json": {"password": PASSWORD}}
        case "POST /auth/refresh" | "PUT /auth/session":
            use_token(client, client.post("/auth/login", json=credentials).get_json()["refresh_token"])
        case "DELETE /api/v1/users/<id:user_id>":
            empty_the_account(client)
        case "GET /api/v1/files/<id:file_id>/thumbnail":
            with client.application.app_context():
                make_thumbnail(1)
        case "GET /api/v1/jobs/<id:job_id>/result":
            with client.application.app_context():
                unit_of_work(lambda: make_result(1))
    return sent_to(route)


@pytest.mark.parametrize("route", ROUTES, ids=names)
def test_a_route_sends_so_many_statements(
    app: Flask, owner: CheckedClient, count_queries: Counter, route: Route
) -> None:
    known = QUERIES[str(route)]
    expected = known if isinstance(known, int) else known["postgresql" in app.config["DATABASE_URL"]]
    sent = made_to_succeed(route, owner)
    with count_queries() as statements:
        answer = route.call(owner, **sent)
    assert answer.status_code < 300, answer.text
    of_ours = [statement for statement in statements if "FROM pg_catalog" not in statement]
    assert len(of_ours) == expected, "\n".join(statements)


def test_the_table_names_no_route_that_is_gone() -> None:
    assert QUERIES.keys() == {str(route) for route in ROUTES}


def test_no_client_can_have_pages_prepared_that_differ_from_the_usual_ones(client: CheckedClient) -> None:
    assert client.get("/api/v1/posts?cursor=").status_code == 200
    assert any("LIMIT 21" in str(statement) for statement in prepared._plans)
    for query in ("per_page=6&cursor=", "per_page=6", "per_page=6&page=1", "per_page=6&sort=title&cursor="):
        assert client.get(f"/api/v1/posts?{query}").status_code == 200
    assert not any("LIMIT 7" in str(statement) for statement in prepared._plans)
