"""Fresh sign-in: what cannot be undone is done by who has proved a moment ago to be the owner of the session."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.orm import Session as DatabaseSession

from app.auth.models import Session
from app.core import clock
from tests.client import CheckedClient, document
from tests.conftest import PASSWORD, AsUser, new_client

CONFIRM = "/auth/confirm"
REFUSED = (403, "fresh_sign_in_required")

Advance = Callable[[timedelta], None]


@pytest.fixture
def advance(monkeypatch: pytest.MonkeyPatch) -> Advance:
    """Stop the clock, and return a function that moves it on."""
    moment = clock.now()

    def move(by: timedelta) -> None:
        nonlocal moment
        moment += by

    monkeypatch.setattr(clock, "now", lambda: moment)
    return move


def url_of(member: CheckedClient) -> str:
    return f"/api/v1/users/{member.user_id}"


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["code"]


def confirm(member: CheckedClient, password: str = PASSWORD) -> Any:
    return member.post(CONFIRM, json={"password": password})


def test_an_account_is_deleted_within_ten_minutes_of_signing_in(as_user: AsUser, advance: Advance) -> None:
    first, second = as_user(), as_user()
    advance(timedelta(minutes=10) - timedelta(milliseconds=1))
    assert first.delete(url_of(first)).status_code == 204
    advance(timedelta(milliseconds=1))
    assert refusal(second.delete(url_of(second))) == REFUSED
    assert second.get("/auth/me").status_code == 200


def test_a_password_makes_a_session_as_fresh_as_signing_in_and_no_other_one(
    client: CheckedClient, as_user: AsUser, advance: Advance
) -> None:
    member = as_user()
    tokens = client.post("/auth/login", json={"email": member.email, "password": PASSWORD}).get_json()
    advance(timedelta(minutes=30))
    other = {"Authorization": f"Bearer {tokens['access_token']}"}
    answer = confirm(member)
    assert (answer.status_code, answer.data) == (204, b"")
    assert refusal(client.delete(url_of(member), headers=other)) == REFUSED
    advance(timedelta(minutes=9))
    assert member.delete(url_of(member)).status_code == 204


def test_a_wrong_password_confirms_nothing(as_user: AsUser, advance: Advance) -> None:
    member = as_user()
    advance(timedelta(minutes=10))
    assert refusal(confirm(member, "Wrong-horse-1")) == (403, "invalid_credentials")
    assert refusal(member.delete(url_of(member))) == REFUSED
    for body in ({}, {"password": ""}, {"password": PASSWORD, "code": 1}, {"password": None}):
        assert member.post(CONFIRM, json=body).status_code == 400
    assert member.get("/auth/me").status_code == 200


def test_a_refresh_makes_no_session_fresh(app: Flask, as_user: AsUser, advance: Advance) -> None:
    member, client = as_user(), new_client(app)
    tokens = client.post("/auth/login", json={"email": member.email, "password": PASSWORD}).get_json()
    advance(timedelta(minutes=11))
    renewed = client.post("/auth/refresh", headers={"Authorization": f"Bearer {tokens['refresh_token']}"}).get_json()
    own = {"Authorization": f"Bearer {renewed['access_token']}"}
    assert refusal(client.delete(url_of(member), headers=own)) == REFUSED


def test_a_role_is_changed_by_a_fresh_admin_and_all_else_by_any(as_user: AsUser, advance: Advance) -> None:
    admin, member = as_user("admin"), as_user()
    advance(timedelta(hours=1) - timedelta(seconds=1))
    assert refusal(admin.patch(url_of(member), json={"role": "moderator"})) == REFUSED
    assert refusal(admin.put(url_of(member), json={"name": "Ada", "role": "moderator"})) == REFUSED
    assert refusal(admin.patch(f"{url_of(member)}?dry_run=true", json={"role": "moderator"})) == REFUSED
    assert admin.patch(url_of(member), json={"name": "Ada", "is_active": True}).status_code == 200
    assert member.get("/auth/me").get_json()["role"] == "member"
    assert confirm(admin).status_code == 204
    assert admin.patch(url_of(member), json={"role": "moderator"}).get_json()["role"] == "moderator"


def test_what_is_missing_is_404_and_what_is_forbidden_is_so_before_it_is_asked_to_be_fresh(
    as_user: AsUser, advance: Advance
) -> None:
    admin, member, other = as_user("admin"), as_user(), as_user()
    advance(timedelta(minutes=11))
    assert admin.patch("/api/v1/users/4711", json={"role": "member"}).status_code == 404
    assert refusal(member.patch(url_of(member), json={"role": "admin"})) == (403, "forbidden")
    assert refusal(member.patch(url_of(other), json={"role": "admin"})) == (403, "forbidden")


def test_a_session_from_before_is_not_fresh(as_user: AsUser, db_session: DatabaseSession) -> None:
    member = as_user()
    db_session.execute(update(Session).values(fresh_until=None))
    db_session.commit()
    assert refusal(member.delete(url_of(member))) == REFUSED
    assert confirm(member).status_code == 204
    assert member.delete(url_of(member)).status_code == 204


def test_the_document_says_what_needs_a_fresh_sign_in(app: Flask) -> None:
    user = document(app)["paths"]["/api/v1/users/{user_id}"]
    for method in ("delete", "patch", "put"):
        assert "403 `fresh_sign_in_required`" in user[method]["description"]
        assert "403" in user[method]["responses"]
    assert "With `role`:" in user["patch"]["description"]
    assert "fresh" not in user["get"]["description"]
