"""The browser's way of signing in, by the script of docs/frontends.md in a page of another origin."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import playwright.sync_api as playwright
import pytest
from flask import Flask

from app import create_app
from app.config import TESTING
from tests.browser.conftest import Page, serving
from tests.conftest import PASSWORD, AsUser, dispose, production_settings

POST = {"title": "From a page", "content": "c"}
SCRIPT = re.compile(r"```js\n(.*?)```", re.DOTALL)


def service(environment: str, database_url: str, origin: str) -> Flask:
    """A service as it runs in production, for pages of one origin, or as in development, which needs no setting."""
    if environment == "production":
        return create_app("production", {**production_settings(database_url), "CORS_ORIGINS": [origin]})
    secrets = {name: TESTING[name] for name in ("SECRET_KEY", "JWT_SECRET_KEY", "LOG_LEVEL")}
    return create_app("development", {**secrets, "DATABASE_URL": database_url})


@pytest.fixture(params=["development", "production"])
def port(request: pytest.FixtureRequest, app: Flask, database_url: str, project: Path) -> Iterator[int]:
    """The port of a page whose script calls a service on another port."""
    page = Page()
    with serving(page) as page_port:
        running = service(request.param, database_url, f"http://localhost:{page_port}")
        (script,) = SCRIPT.findall((project / "docs" / "frontends.md").read_text())
        with serving(running) as api_port:
            page.script = script.replace("http://localhost:8000", f"http://localhost:{api_port}")
            yield page_port
        dispose(running)


@pytest.fixture
def page(chromium: playwright.Browser, port: int) -> Iterator[playwright.Page]:
    with closing(chromium.new_context()) as context:
        page = context.new_page()
        page.goto(f"http://localhost:{port}/")
        yield page


def sign_in(page: playwright.Page, email: str, *, remember: bool = False) -> Any:
    return page.evaluate(
        "([email, password, remember]) => signIn(email, password, remember)", [email, PASSWORD, remember]
    )


def write_post(page: playwright.Page) -> Any:
    return page.evaluate("post => call('POST', '/api/v1/posts', post)", POST)


def test_a_page_signs_in_writes_a_post_and_is_still_signed_in_when_it_is_loaded_again(
    page: playwright.Page, as_user: AsUser
) -> None:
    member = as_user()
    assert page.evaluate("whoAmI()") is None
    assert sign_in(page, member.email)["id"] == member.user_id
    assert page.evaluate("document.cookie") == ""
    assert write_post(page)["status"] == 201

    page.evaluate("csrf = null")
    refused = write_post(page)
    assert (refused["status"], refused["body"]["code"]) == (403, "csrf")

    page.reload()
    assert page.evaluate("whoAmI()")["email"] == member.email
    assert write_post(page)["body"]["user_id"] == member.user_id


def test_a_page_refreshes_its_session_and_signs_out(page: playwright.Page, as_user: AsUser) -> None:
    member = as_user()
    sign_in(page, member.email, remember=True)
    before = {cookie["value"] for cookie in page.context.cookies()}
    assert {cookie["expires"] > 0 for cookie in page.context.cookies()} == {True}
    assert page.evaluate("refresh()")["id"] == member.user_id
    assert before.isdisjoint(cookie["value"] for cookie in page.context.cookies())
    assert write_post(page)["status"] == 201
    assert page.evaluate("signOut()") is None
    assert page.evaluate("whoAmI()") is None
    assert page.context.cookies() == []
    assert write_post(page)["status"] == 401


def test_a_page_of_another_site_neither_reads_nor_writes_in_the_name_of_who_is_signed_in(
    page: playwright.Page, port: int, as_user: AsUser
) -> None:
    member = as_user()
    sign_in(page, member.email)
    page.goto(f"http://127.0.0.1:{port}/")
    told = page.evaluate("whoAmI().catch(error => error.name)")
    assert told in (None, "TypeError")  # without cookies, or refused to a page that is not of the settings
    written = page.evaluate("post => call('POST', '/api/v1/posts', post).catch(error => null)", POST)
    assert written is None or written["status"] == 401
    assert member.get("/api/v1/posts").get_json()["total"] == 0
