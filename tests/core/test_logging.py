"""The log: a line for each request, with its id, and nothing secret."""

import json
import logging
import re
import sys
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.core.observability.logging import JsonFormatter, TextFormatter
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser, Counter, dispose


@pytest.fixture(autouse=True)
def told(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "app")


def test_a_request_is_one_line_with_route_status_and_time(
    client: CheckedClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.get("/api/v1/posts/7?page=secret", headers={"X-Request-ID": "abcdefgh"})
    record = next(record for record in caplog.records if record.name == "app.access")
    line = json.loads(JsonFormatter().format(record))
    assert line["message"].startswith("GET /api/v1/posts/7 4")
    assert (line["method"], line["route"]) == ("GET", "/api/v1/posts/<id:post_id>")
    assert line["ms"] > 0
    assert "secret" not in line["message"]


def test_a_request_line_says_who_asked_and_what_the_database_took(
    as_user: AsUser, client: CheckedClient, count_queries: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    member = as_user()
    member.get("/auth/me")  # The first connection to PostgreSQL asks it a few things.
    with count_queries() as statements:
        session = member.get("/auth/sessions").get_json()["sessions"][0]["id"]
    line = last_request(caplog)
    assert (line["user"], line["session"], line["queries"]) == (member.user_id, session, len(statements))
    assert line["ms"] > line["query_ms"] > 0
    client.get("/health")
    line = last_request(caplog)
    assert (line["user"], line["session"], line["queries"], line["query_ms"]) == (None, None, 0, 0)


def last_request(caplog: pytest.LogCaptureFixture) -> Any:
    """Return the fields of the last request's line."""
    record = [record for record in caplog.records if record.name == "app.access"][-1]
    return json.loads(JsonFormatter().format(record))


def test_a_path_cannot_begin_a_new_line(client: CheckedClient, caplog: pytest.LogCaptureFixture) -> None:
    client.get("/nowhere%0A2026 ERROR forged")
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_no_secret_is_in_the_log_whatever_goes_wrong(
    app: Flask, as_user: AsUser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    member = as_user()
    token = member.environ_base["HTTP_AUTHORIZATION"].split()[1]
    account = {"email": member.email, "password": PASSWORD}
    tokens = member.post("/auth/login", json=account).get_json()
    secret = {"headers": {"Idempotency-Key": "key-of-a-member", "Cookie": "session=cookie-of-a-member"}}
    member.get("/auth/me", **secret)
    member.get(f"/nowhere/{token}?token={token}")
    member.post("/auth/login", json=account | {"password": "Wrong-horse-1"})
    member.post("/auth/refresh", headers={"Authorization": f"Bearer {tokens['refresh_token']}"})
    member.post("/auth/refresh", headers={"Authorization": f"Bearer {tokens['refresh_token'][:-2]}"})
    member.post("/api/v1/users", json={**account, "name": PASSWORD})
    member.post("/api/v1/todos", data=f'{{"password": "{PASSWORD}"', content_type="application/json", **secret)

    def fail(*_args: Any, **_kwargs: Any) -> None:
        address = f"postgresql://agora:{PASSWORD}@db/agora"
        raise RuntimeError(
            f"Authorization: Bearer {token}; {tokens['access_token']} {address} Bearer opaque-token-1234"
        )

    monkeypatch.setattr("app.todos.service.create_todo", fail)
    assert member.post("/api/v1/todos", json={"task": "t"}, **secret).status_code == 500
    kept = [app.config["SECRET_KEY"], app.config["JWT_SECRET_KEY"], PASSWORD, "Wrong-horse-1", "opaque-token-1234"]
    kept += [token, *(value for value in tokens.values() if isinstance(value, str) and len(value) > 20)]
    kept += ["key-of-a-member", "cookie-of-a-member"]
    for formatter in (JsonFormatter(), TextFormatter()):
        lines = [formatter.format(record) for record in caplog.records]
        assert any("RuntimeError: Authorization: Bearer ***; *** postgresql://agora:***@db/agora" in li for li in lines)
        assert [secret for secret in kept if any(secret in line for line in lines)] == []


def test_times_are_shown_in_development_alone(app: Flask, as_user: AsUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("app"), "propagate", True)  # Another app leaves the log as it is.
    keys = {name: app.config[name] for name in ("DATABASE_URL", "SECRET_KEY", "JWT_SECRET_KEY")}
    development = create_app("development", {"LOG_LEVEL": "ERROR", **keys})
    member = as_user()
    headers = {"Authorization": member.environ_base["HTTP_AUTHORIZATION"]}
    for _ in range(2):  # The first connection to PostgreSQL asks it a few things.
        shown = development.test_client().get("/auth/me", headers=headers).headers["Server-Timing"]
    dispose(development)
    times = re.fullmatch(r'total;dur=([0-9.]+), db;dur=([0-9.]+);desc="1 queries"', shown)
    assert times
    assert float(times[1]) > float(times[2])
    assert "Server-Timing" not in member.get("/auth/me").headers


def test_an_exception_is_told_in_one_line_of_json() -> None:
    try:
        raise RuntimeError("two\nlines")
    except RuntimeError:
        record = logging.LogRecord("app", logging.ERROR, "", 1, "went %s", ("wrong",), sys.exc_info())
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["message"] == "went wrong"
    assert "RuntimeError: two" in json.loads(line)["exception"]


@pytest.mark.parametrize(("request_id", "end"), [(None, "at work"), ("abcdefgh", "at work  [abcdefgh]")])
def test_a_line_for_people_ends_with_the_request_s_id_if_there_is_one(request_id: str | None, end: str) -> None:
    record = logging.makeLogRecord({"msg": "at work", "request_id": request_id})
    assert TextFormatter().format(record).endswith(end)
