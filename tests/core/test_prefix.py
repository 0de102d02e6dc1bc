"""A service that a proxy shows below a path: what a client is told to ask for next is below it as well."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from PIL import Image

from app import create_app
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser, dispose, production_settings
from tests.contract.test_lists import links

PREFIX = "/the%20market"


@pytest.fixture(params=["X-Forwarded-Prefix", "SCRIPT_NAME"])
def below(request: pytest.FixtureRequest, as_user: AsUser, database_url: str) -> Iterator[CheckedClient]:
    """A member of the service in production, who reaches it below PREFIX, by a trusted proxy or by WSGI's own way."""
    member = as_user()
    app = create_app("production", production_settings(database_url) | {"TRUSTED_PROXIES": 1})
    app.test_client_class = CheckedClient
    client: Any = app.test_client()
    if request.param == "SCRIPT_NAME":
        app.wsgi_app = mounted(app.wsgi_app)  # type: ignore[method-assign]
    else:
        client.environ_base["HTTP_X_FORWARDED_PREFIX"] = "/the market"
    tokens = client.post("/auth/login", json={"email": member.email, "password": PASSWORD}).get_json()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {tokens['access_token']}"
    yield client
    dispose(app)


def mounted(serve: Any) -> Any:
    """Return a service as a server of many services calls it."""
    return lambda environ, start: serve(environ | {"SCRIPT_NAME": "/the market"}, start)


def picture() -> dict[str, Any]:
    made = BytesIO()
    Image.new("RGB", (8, 8), "red").save(made, "PNG")
    made.seek(0)
    return {"data": {"file": (made, "red.png")}}


def test_what_was_made_is_found_below_the_prefix(below: CheckedClient) -> None:
    made = below.post("/api/v1/todos", json={"task": "x"})
    assert made.headers["Location"] == f"{PREFIX}/api/v1/todos/{made.get_json()['id']}"


@pytest.mark.parametrize("way", ["page=1", "cursor="])
def test_a_lists_links_are_below_the_prefix(below: CheckedClient, way: str) -> None:
    for task in "xy":
        below.post("/api/v1/todos", json={"task": task})
    answer = below.get(f"/api/v1/todos?per_page=1&{way}")
    found = links(answer.headers["Link"])
    assert {"next", "first"} <= found.keys()
    assert all(url.startswith(f"{PREFIX}/api/v1/todos?") for url in found.values())


def test_the_paths_in_a_body_are_below_the_prefix(below: CheckedClient) -> None:
    file = below.post("/api/v1/files", **picture()).get_json()
    assert file["url"] == f"{PREFIX}/api/v1/files/{file['id']}/content"
    assert below.get("/api/v1/files").get_json()["files"][0]["url"] == file["url"]
    product = {"name": "Honey", "price": 1, "stock": 1, "image_id": file["id"]}
    assert below.post("/api/v1/products", json=product).get_json()["image_url"] == file["url"]
    assert below.get("/api/v1/products").get_json()["products"][0]["image_url"] == file["url"]


def test_the_document_its_page_and_the_entry_points_are_below_the_prefix(below: CheckedClient) -> None:
    document = below.get("/openapi.json")
    assert document.get_json()["servers"] == [{"url": PREFIX}]
    page = below.get("/docs")
    assert f'src="{PREFIX}/docs/docs.js"' in page.text
    assert '="/docs' not in page.text
    assert {document.headers["Cache-Control"], page.headers["Cache-Control"]} == {"private"}
    points = below.get("/").get_json()["entry_points"]
    assert points["sign_in"] == f"{PREFIX}/auth/login"


def test_a_prefix_from_anybody_is_not_believed(client: CheckedClient) -> None:
    answer = client.get("/openapi.json", headers={"X-Forwarded-Prefix": "/elsewhere"})
    assert answer.get_json()["servers"] == [{"url": "/"}]
    assert answer.headers["Cache-Control"] == "public, max-age=60"


def test_a_prefix_never_leads_to_another_host(app: Flask) -> None:
    proxied = app.test_client()
    answer = proxied.get("/api/v1/posts", environ_overrides={"SCRIPT_NAME": "//elsewhere.example"})
    assert all(url.startswith("/elsewhere.example/") for url in links(answer.headers["Link"]).values())
