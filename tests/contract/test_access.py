"""Closed by default: what every route declares about who may call it, and that it is so."""

import pytest
from flask import Flask

from app.core import permissions
from app.core.permissions import ROLES, Access
from app.core.rest.resource import Resource
from app.core.rest.resource import route as put_at_urls
from tests.client import CheckedClient
from tests.conftest import AsUser, use_token
from tests.contract.routes import ROUTES, Route, names

OPEN_TO_ALL = {
    "GET /",
    "GET /docs",
    "GET /docs/<string:name>",
    "GET /openapi.json",
    "GET /health",
    "GET /health/ready",
    "GET /metrics",
    "POST /auth/login",
    "POST /auth/refresh",
    "POST /auth/session",
    "PUT /auth/session",
    "POST /auth/password/forgot",
    "POST /auth/password/reset",
    "POST /auth/email/verify",
    "GET /api/v1/users",
    "POST /api/v1/users",
    "GET /api/v1/users/<id:user_id>",
    "GET /api/v1/users/<id:user_id>/posts",
    "GET /api/v1/posts",
    "GET /api/v1/posts/<id:post_id>",
    "GET /api/v1/files/<id:file_id>/content",
    "GET /api/v1/files/<id:file_id>/thumbnail",
    "GET /api/v1/products",
    "GET /api/v1/products/<id:product_id>",
    "GET /api/v1/rates/<string:currency>",
}
CLOSED = [
    route
    for route in ROUTES
    if route.contract.permission not in (Access.ANONYMOUS, Access.PUBLIC, Access.REFRESH, Access.REFRESH_COOKIE)
]
WITH_PERMISSION = [route for route in ROUTES if isinstance(route.contract.permission, str)]
RECOGNISING = [route for route in ROUTES if route.contract.permission is not Access.ANONYMOUS]


def test_only_the_routes_named_here_are_open() -> None:
    open_routes = {str(route) for route in ROUTES if route not in CLOSED}
    assert open_routes == OPEN_TO_ALL


@pytest.mark.parametrize("route", WITH_PERMISSION, ids=names)
def test_every_declared_permission_belongs_to_a_role(route: Route) -> None:
    assert any(route.contract.permission in held for held in ROLES.values())


@pytest.mark.parametrize("route", CLOSED, ids=names)
def test_a_closed_route_asks_to_sign_in_before_it_looks_at_the_request(client: CheckedClient, route: Route) -> None:
    answer = route.call(client, data=b"\xff not even text", query_string="unknown=1")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("route", RECOGNISING, ids=names)
@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "\xe9\xff", ""])
def test_a_bad_token_is_401_even_where_none_is_needed(client: CheckedClient, route: Route, token: str) -> None:
    use_token(client, token)
    assert route.call(client).status_code == 401


@pytest.mark.parametrize("route", WITH_PERMISSION, ids=names)
def test_a_caller_without_the_permission_is_told_its_name_before_the_request_is_looked_at(
    as_user: AsUser, monkeypatch: pytest.MonkeyPatch, route: Route
) -> None:
    member = as_user()
    monkeypatch.setitem(permissions.ROLES, "member", frozenset())
    answer = route.call(member, data=b"\xff not even text", query_string="unknown=1")
    assert answer.status_code == 403
    assert str(route.contract.permission) in answer.get_json()["message"]


@pytest.mark.parametrize("route", RECOGNISING, ids=names)
def test_answers_that_depend_on_the_caller_are_not_kept_for_others(as_user: AsUser, route: Route) -> None:
    answer = route.call(as_user())
    if route.contract.may_be_kept:
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert {"Authorization", "Cookie"} <= set(answer.vary)
    else:
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_handler_that_declares_nothing_keeps_the_service_from_starting() -> None:
    class Undeclared(Resource):
        def get(self) -> str:
            return "open to all"

    with pytest.raises(TypeError, match="Undeclared declares nothing for GET"):
        put_at_urls(Flask(__name__), [("/undeclared", Undeclared)])
