"""The log: a line for each request, with its id, and nothing secret."""

import json
import logging
import sys

import pytest
from flask import Flask

from app.core.logging import JsonFormatter
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser


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


def test_a_path_cannot_begin_a_new_line(client: CheckedClient, caplog: pytest.LogCaptureFixture) -> None:
    client.get("/nowhere%0A2026 ERROR forged")
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_passwords_and_tokens_are_not_logged(as_user: AsUser, caplog: pytest.LogCaptureFixture) -> None:
    member = as_user()
    member.post("/auth/login", json={"email": member.email, "password": PASSWORD})
    member.get("/auth/me")
    assert PASSWORD not in caplog.text
    assert member.environ_base["HTTP_AUTHORIZATION"].split()[1] not in caplog.text


def test_an_exception_is_told_in_one_line_of_json() -> None:
    try:
        raise RuntimeError("two\nlines")
    except RuntimeError:
        record = logging.LogRecord("app", logging.ERROR, "", 1, "went %s", ("wrong",), sys.exc_info())
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["message"] == "went wrong"
    assert "RuntimeError: two" in json.loads(line)["exception"]
