"""What every answer has, whatever it is."""

import pytest
from flask import Flask

from app import create_app
from tests.client import CheckedClient
from tests.conftest import AsUser, dispose, new_client
from tests.contract.routes import ROUTES, Route, names

READABLE = [route for route in ROUTES if route.method == "GET"]
STEADY = [route for route in READABLE if route.rule != "/metrics"]  # Its figures move while they are read.


@pytest.mark.parametrize("route", ROUTES, ids=names)
def test_every_answer_has_the_security_headers(as_user: AsUser, route: Route) -> None:
    headers = route.call(as_user()).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"]


@pytest.mark.parametrize("route", STEADY, ids=names)
def test_head_answers_as_get_does_without_a_body(as_user: AsUser, route: Route) -> None:
    member = as_user()
    got = route.call(member)
    head = member.head(route.url)
    assert (head.status_code, head.data) == (got.status_code, b"")
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


@pytest.mark.parametrize("route", ROUTES, ids=names)
def test_options_tells_the_methods_to_everyone(client: CheckedClient, route: Route) -> None:
    answer = client.options(route.url)
    assert answer.status_code == 200
    assert route.method in answer.headers["Allow"]


@pytest.mark.parametrize("route", READABLE, ids=names)
def test_a_trailing_slash_does_not_redirect(as_user: AsUser, route: Route) -> None:
    assert as_user("admin").get(f"{route.url.rstrip('/')}/").status_code in (200, 404)


@pytest.mark.parametrize("sent", ["12345678", "A.b_c-d0" * 16])
def test_a_callers_request_id_is_kept(client: CheckedClient, sent: str) -> None:
    assert client.get("/health", headers={"X-Request-ID": sent}).headers["X-Request-ID"] == sent


@pytest.mark.parametrize("sent", ["", "1234567", "x" * 129, "with space", "<script>", "12345678\u0661"])
def test_an_odd_request_id_is_replaced(client: CheckedClient, sent: str) -> None:
    name = client.get("/health", headers={"X-Request-ID": sent.encode().decode("latin-1")}).headers["X-Request-ID"]
    assert name != sent
    assert 8 <= len(name) <= 128


def test_request_ids_differ(client: CheckedClient) -> None:
    assert client.get("/health").headers["X-Request-ID"] != client.get("/health").headers["X-Request-ID"]


def test_https_is_remembered(client: CheckedClient) -> None:
    assert "Strict-Transport-Security" not in client.get("/health").headers
    assert client.get("/health", base_url="https://localhost").headers["Strict-Transport-Security"]


@pytest.fixture
def shared(app: Flask) -> CheckedClient:
    """A service that pages of one other origin may call."""
    url = app.config["DATABASE_URL"]
    shared_app = create_app("testing", {"DATABASE_URL": url, "CORS_ORIGINS": ["https://shop.example.com"]})
    shared_app.test_client_class = CheckedClient
    dispose(shared_app)
    return new_client(shared_app)


@pytest.mark.parametrize("url", ["/health", "/nowhere", "/auth/me", "/api/v1/posts?page=0"])
def test_a_page_of_an_allowed_origin_reads_answers_and_errors(shared: CheckedClient, url: str) -> None:
    headers = shared.get(url, headers={"Origin": "https://shop.example.com"}).headers
    assert headers["Access-Control-Allow-Origin"] == "https://shop.example.com"
    assert "X-Request-ID" in headers["Access-Control-Expose-Headers"]
    assert "Link" in headers["Access-Control-Expose-Headers"]
    assert "Origin" in headers["Vary"]


def test_a_page_of_another_origin_does_not(shared: CheckedClient) -> None:
    headers = shared.get("/health", headers={"Origin": "https://evil.example.com"}).headers
    assert "Access-Control-Allow-Origin" not in headers
    assert "Origin" in headers["Vary"]


def test_a_browser_may_ask_before_it_sends(shared: CheckedClient) -> None:
    answer = shared.options(
        "/api/v1/posts",
        headers={
            "Origin": "https://shop.example.com",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    )
    assert answer.status_code == 200
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"].lower()


def test_without_allowed_origins_no_page_of_another_origin_may_read(client: CheckedClient) -> None:
    headers = client.get("/health", headers={"Origin": "https://shop.example.com"}).headers
    assert "Access-Control-Allow-Origin" not in headers
