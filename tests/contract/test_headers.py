"""What every answer has, whatever it is."""

from pathlib import Path

import pytest
from flask import Flask

from app import config, create_app
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


@pytest.mark.parametrize("url", ["/health", "/nowhere", "/auth/me"])
def test_a_page_of_an_allowed_origin_sends_its_cookies_and_reads_what_downloads_need(
    shared: CheckedClient, url: str
) -> None:
    headers = shared.get(url, headers={"Origin": "https://shop.example.com"}).headers
    assert headers["Access-Control-Allow-Credentials"] == "true"
    exposed = headers["Access-Control-Expose-Headers"].split(", ")
    assert {"Content-Disposition", "Content-Range", "Accept-Ranges", "ETag", "Retry-After"} <= set(exposed)


def test_a_browser_need_not_ask_again_for_two_hours(shared: CheckedClient) -> None:
    asked = {"Origin": "https://shop.example.com", "Access-Control-Request-Method": "PUT"}
    headers = shared.options("/auth/session", headers=asked).headers
    assert (headers["Access-Control-Max-Age"], headers["Access-Control-Allow-Credentials"]) == ("7200", "true")


def test_what_no_browser_has_asked_says_nothing_of_origins(shared: CheckedClient) -> None:
    headers = shared.get("/health").headers
    assert [name for name, _ in headers if name.startswith("Access-Control-")] == []
    assert "Origin" in headers["Vary"]


OTHERS = [
    "https://shop.example.com.evil.example.com",
    "https://shop.example.com:8443",
    "https://shop-example.com",
    "https://evil.example.com/https://shop.example.com",
    "http://shop.example.com",
    "null",
    "*",
]


@pytest.mark.parametrize("origin", OTHERS)
def test_no_other_origin_is_taken_for_an_allowed_one(shared: CheckedClient, origin: str) -> None:
    for method in ("GET", "OPTIONS"):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        headers = shared.open("/auth/session", method=method, headers=asked).headers
        assert [name for name, _ in headers if name.startswith("Access-Control-")] == []
        assert "Origin" in headers["Vary"]


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        ("http://localhost:5173", True),
        ("http://localhost", True),
        ("http://127.0.0.1:3000", True),
        ("https://localhost:5173", False),
        ("http://localhost:5173.evil.example.com", False),
        ("http://localhost.evil.example.com", False),
        ("http://localhost:", False),
        ("http://127a0b0c1:3000", False),
        ("http://192.168.0.1:5173", False),
    ],
)
def test_in_development_the_pages_of_this_machine_may_call_the_api_from_any_port(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: str, is_allowed: bool
) -> None:
    monkeypatch.setattr(config, "ROOT", tmp_path)  # without the .env and the settings of this machine
    developed = create_app("development", {"DATABASE_URL": app.config["DATABASE_URL"]})
    dispose(developed)
    headers = developed.test_client().get("/health", headers={"Origin": origin}).headers
    assert headers.get("Access-Control-Allow-Origin") == (origin if is_allowed else None)
    assert headers.get("Access-Control-Allow-Credentials") == ("true" if is_allowed else None)


def test_without_allowed_origins_no_page_of_another_origin_may_read(client: CheckedClient) -> None:
    headers = client.get("/health", headers={"Origin": "https://shop.example.com"}).headers
    assert "Access-Control-Allow-Origin" not in headers
