"""Every kind of error has the one shape, in production mode, with TESTING off."""

import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from psycopg2.extensions import get_wait_callback, set_wait_callback
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app import create_app
from app.core.errors import Conflict
from app.posts import service as posts
from app.users import service as users
from tests.client import CheckedClient
from tests.conftest import NO_BROKER, PASSWORD, new_client, use_token

SIGN_UP = {"email": "a@example.com", "name": "A member", "password": PASSWORD}
PROBLEM = "application/problem+json"
HUGE = b'{"title": "' + b"x" * 1_048_577 + b'"}'


def refuse_with(error: Exception) -> Callable[..., Any]:
    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        raise error

    return refuse


class SecretDriverError(Exception):
    """What a driver says must not reach a client."""


DATABASE_AWAY = OperationalError("SELECT secret FROM users", {}, SecretDriverError("server closed the connection"))

ERRORS: list[tuple[int, str, str, str, dict[str, Any], Exception | None]] = [
    (400, "bad_request", "GET", "/api/v1/posts?q=%FF", {}, None),
    (400, "bad_request", "GET", "/", {"environ_overrides": {"PATH_INFO": "/nowhere/\xff"}}, None),
    (400, "unknown_parameter", "GET", "/api/v1/posts?nonsense=1", {}, None),
    (400, "validation_failed", "GET", "/api/v1/posts?page=0", {}, None),
    (400, "malformed_json", "POST", "/auth/login", {"data": b"{", "content_type": "application/json"}, None),
    (400, "validation_failed", "POST", "/auth/login", {"json": {}}, None),
    (401, "unauthorized", "GET", "/auth/me", {}, None),
    (401, "invalid_token", "GET", "/auth/me", {"headers": {"Authorization": "Bearer x"}}, None),
    (404, "not_found", "GET", "/nowhere", {}, None),
    (404, "not_found", "GET", "/api/v1/posts/1", {}, None),
    (404, "not_found", "GET", "/api/v1/posts/0", {}, None),
    (404, "not_found", "GET", "/api/v1/posts/9223372036854775808", {}, None),
    (404, "not_found", "GET", "/api/v1/posts/\u0661", {}, None),
    (404, "not_found", "GET", "//api/v1/posts", {}, None),
    (405, "method_not_allowed", "DELETE", "/api/v1/posts", {}, None),
    (405, "method_not_allowed", "PROPFIND", "/health", {}, None),
    (409, "conflict", "POST", "/api/v1/users", {"json": SIGN_UP}, Conflict()),
    (413, "payload_too_large", "POST", "/auth/login", {"data": HUGE, "content_type": "application/json"}, None),
    (415, "unsupported_media_type", "POST", "/auth/login", {"data": b"a=b", "content_type": "text/plain"}, None),
    (500, "internal_error", "GET", "/api/v1/posts", {}, RuntimeError("secret")),
    (503, "unavailable", "GET", "/api/v1/posts", {}, DATABASE_AWAY),
    (503, "unavailable", "GET", "/api/v1/posts", {}, PoolTimeout("secret: pool limit")),
]


@pytest.mark.parametrize("accept", ["*/*", PROBLEM])
@pytest.mark.parametrize(("status", "code", "method", "url", "request_", "raised"), ERRORS)
def test_an_error_has_the_one_shape(
    production: Flask,
    monkeypatch: pytest.MonkeyPatch,
    accept: str,
    status: int,
    code: str,
    method: str,
    url: str,
    request_: dict[str, Any],
    raised: Exception | None,
) -> None:
    logging.getLogger("app").setLevel("CRITICAL")
    if raised:
        monkeypatch.setattr(posts, "list_posts", refuse_with(raised))
        monkeypatch.setattr(users, "create_user", refuse_with(raised))
    client = new_client(production)
    headers = {"Accept": accept, "X-Request-ID": "a-request-id", **request_.get("headers", {})}
    answer = client.open(url, method=method, **{**request_, "headers": headers})
    body = answer.get_json(force=True)
    assert (answer.status_code, body["code"], body["request_id"]) == (status, code, "a-request-id")
    assert "secret" not in answer.text
    assert "api/v1" not in answer.text
    assert answer.headers["X-Request-ID"] == "a-request-id"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if accept == PROBLEM:
        assert (answer.mimetype, body["status"], body["type"]) == (PROBLEM, status, "about:blank")
    else:
        assert (answer.mimetype, body["error"]) == ("application/json", answer.status.split(" ", 1)[1].title())


def test_a_405_names_what_is_allowed(client: CheckedClient) -> None:
    answer = client.delete("/api/v1/posts")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_a_503_says_when_to_come_back(client: CheckedClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posts, "list_posts", refuse_with(DATABASE_AWAY))
    assert client.get("/api/v1/posts").headers["Retry-After"] == "1"


def test_a_database_that_is_away_is_503_and_health_is_still_200(production: Flask) -> None:
    nowhere = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "BROKER_URL": NO_BROKER,
        **{name: production.config[name] for name in ("SECRET_KEY", "JWT_SECRET_KEY")},
    }
    app = create_app("production", {**nowhere, "LOG_LEVEL": "ERROR"})
    logging.getLogger("app").setLevel("CRITICAL")
    app.test_client_class = CheckedClient
    client = new_client(app)
    answer = client.get("/api/v1/posts")
    assert (answer.status_code, answer.get_json()["code"]) == (503, "unavailable")
    assert client.post("/auth/login", json={"email": "a@example.com", "password": "x"}).status_code == 503
    assert client.get("/health").status_code == 200
    ready = client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.get_json() == {
        "status": "unhealthy",
        "checks": {"database": False, "migrations": False, "worker": False, "mail": False, "broker": False},
        "degraded": ["worker", "mail", "broker"],
        "tick_age": None,
    }


def test_an_error_does_not_quote_what_was_sent_in_the_token(client: CheckedClient) -> None:
    use_token(client, "s3cr3t-token")
    assert "s3cr3t" not in client.get("/auth/me").text


@pytest.fixture
def silent_server() -> Iterator[int]:
    """The port of a server that accepts and then says nothing, as a frozen PostgreSQL does."""
    kept = get_wait_callback()
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
    set_wait_callback(kept)


def test_a_database_that_is_frozen_is_503_and_not_waited_for_for_ever(silent_server: int) -> None:
    logging.getLogger("app").setLevel("CRITICAL")
    url = f"postgresql://nobody@127.0.0.1:{silent_server}/nothing"
    app = create_app("testing", {"DATABASE_URL": url, "STATEMENT_TIMEOUT": 1})
    app.test_client_class = CheckedClient
    assert new_client(app).get("/api/v1/posts").status_code == 503
