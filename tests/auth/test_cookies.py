"""Signing in by cookie: what a page in a browser does, whose scripts never see a token."""

from datetime import timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any

import jwt
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.core import clock
from tests.client import CheckedClient, document
from tests.conftest import PASSWORD, AsUser, new_client, use_token

URL = "/auth/session"
ACCESS, REFRESH = "agora_access", "agora_refresh"
POST = {"title": "t", "content": "c"}


def sign_in(client: CheckedClient, member: CheckedClient, **more: Any) -> TestResponse:
    return client.post(URL, json={"email": member.email, "password": PASSWORD, **more})


def set_by(answer: TestResponse) -> dict[str, "Morsel[str]"]:
    """The cookies that an answer sets."""
    cookies: SimpleCookie = SimpleCookie()
    for line in answer.headers.getlist("Set-Cookie"):
        cookies.load(line)
    return dict(cookies)


def csrf(answer: TestResponse) -> dict[str, str]:
    return {"X-CSRF-TOKEN": answer.get_json()["csrf_token"]}


def refusal(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["code"]


def cookie(client: CheckedClient, name: str) -> str | None:
    found = client.get_cookie(name)
    return found.value if found else None


def test_a_session_is_begun_with_cookies_that_no_script_can_read(client: CheckedClient, as_user: AsUser) -> None:
    member = as_user()
    answer = sign_in(client, member)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.get_json().keys() == {"user", "csrf_token", "expires_in"}
    assert (answer.get_json()["user"], answer.get_json()["expires_in"]) == (member.get("/auth/me").get_json(), 3600)
    cookies = set_by(answer)
    assert cookies.keys() == {ACCESS, REFRESH}
    for one in cookies.values():
        assert (one["httponly"], one["samesite"], one["path"], one["domain"]) == (True, "Lax", "/", "")
        assert (one["max-age"], one["expires"], one["secure"]) == ("", "", "")
        assert one.value not in answer.text
    assert client.get("/auth/me").get_json()["id"] == member.user_id


def test_in_production_the_cookies_are_sent_over_https_alone_and_belong_to_this_host(
    production: Flask, as_user: AsUser
) -> None:
    client = new_client(production)
    client.environ_base["wsgi.url_scheme"] = "https"
    cookies = set_by(sign_in(client, as_user()))
    assert cookies.keys() == {f"__Host-{ACCESS}", f"__Host-{REFRESH}"}
    for one in cookies.values():
        assert (one["secure"], one["httponly"], one["samesite"], one["path"]) == (True, True, "Lax", "/")
        assert one["domain"] == ""


@pytest.mark.parametrize("remember", [True, False])
def test_cookies_that_are_remembered_live_as_long_as_the_session(
    client: CheckedClient, as_user: AsUser, remember: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment)
    begun = sign_in(client, as_user(), remember=remember)
    assert {one["max-age"] for one in set_by(begun).values()} == {"2592000" if remember else ""}
    monkeypatch.setattr(clock, "now", lambda: moment + timedelta(days=10))
    renewed = client.put(URL, headers=csrf(begun))
    assert {one["max-age"] for one in set_by(renewed).values()} == {"1728000" if remember else ""}


def test_what_signs_nobody_in_sets_no_cookie(client: CheckedClient, as_user: AsUser) -> None:
    member = as_user()
    for body, status in (
        ({"email": member.email, "password": "Wrong-horse-1"}, 401),
        ({"email": "nobody@example.com", "password": PASSWORD}, 401),
        ({"email": member.email, "password": PASSWORD, "remember": "yes"}, 400),
        ({"email": member.email}, 400),
    ):
        answer = client.post(URL, json=body)
        assert (answer.status_code, "Set-Cookie" in answer.headers) == (status, False)


def test_a_write_by_cookie_needs_the_csrf_token_of_its_session_and_a_read_does_not(
    client: CheckedClient, app: Flask, as_user: AsUser
) -> None:
    begun, other = sign_in(client, as_user()), sign_in(new_client(app), as_user())
    for headers in ({}, {"X-CSRF-TOKEN": ""}, {"X-CSRF-TOKEN": "\xe9"}, csrf(other)):
        assert refusal(client.post("/api/v1/posts", json=POST, headers=headers)) == (403, "csrf")
        assert refusal(client.delete("/auth/sessions", headers=headers)) == (403, "csrf")
        assert refusal(client.put(URL, headers=headers)) == (403, "csrf")
        assert refusal(client.delete(URL, headers=headers)) == (403, "csrf")
    assert client.get("/api/v1/posts").get_json()["total"] == 0
    made = client.post("/api/v1/posts", json=POST, headers=csrf(begun))
    assert made.status_code == 201
    assert client.patch(made.headers["Location"], json={"title": "u"}, headers=csrf(begun)).status_code == 200


def test_a_write_by_header_needs_none(client: CheckedClient, as_user: AsUser) -> None:
    assert as_user().post("/api/v1/posts", json=POST).status_code == 201


def test_a_page_that_is_loaded_anew_learns_who_is_signed_in_and_the_csrf_token(
    app: Flask, client: CheckedClient, as_user: AsUser
) -> None:
    begun = sign_in(client, as_user())
    answer = client.get(URL)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.get_json() == {name: begun.get_json()[name] for name in ("user", "csrf_token")}
    assert "ETag" not in answer.headers
    assert refusal(new_client(app).get(URL)) == (401, "unauthorized")


def expired(token: str, app: Flask) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode({**claims, "exp": claims["iat"] - 60}, app.config["JWT_SECRET_KEY"], "HS256")


@pytest.mark.parametrize("is_there", [True, False])
def test_the_refresh_cookie_will_do_to_learn_it_and_to_sign_out_and_for_nothing_else(
    client: CheckedClient, app: Flask, as_user: AsUser, is_there: bool
) -> None:
    begun = sign_in(client, as_user())
    access = cookie(client, ACCESS)
    assert access
    client.delete_cookie(ACCESS)
    if is_there:
        client.set_cookie(ACCESS, expired(access, app))
    assert client.get("/auth/me").status_code == 401
    assert client.get(URL).get_json() == {name: begun.get_json()[name] for name in ("user", "csrf_token")}
    assert client.delete(URL, headers=csrf(begun)).status_code == 204
    assert client.put(URL, headers=csrf(begun)).status_code == 401


def test_a_refresh_makes_new_cookies_and_a_new_csrf_token(client: CheckedClient, as_user: AsUser) -> None:
    begun = sign_in(client, as_user())
    before = cookie(client, ACCESS), cookie(client, REFRESH)
    renewed = client.put(URL, headers=csrf(begun))
    assert (renewed.status_code, renewed.headers["Cache-Control"]) == (200, "no-store")
    assert renewed.get_json().keys() == begun.get_json().keys()
    assert renewed.get_json()["user"] == begun.get_json()["user"]
    assert renewed.get_json()["csrf_token"] != begun.get_json()["csrf_token"]
    assert not {cookie(client, ACCESS), cookie(client, REFRESH)} & set(before)
    assert refusal(client.post("/api/v1/posts", json=POST, headers=csrf(begun))) == (403, "csrf")
    assert client.post("/api/v1/posts", json=POST, headers=csrf(renewed)).status_code == 201


def test_a_refresh_cookie_that_is_spent_again_later_ends_the_session_and_deletes_the_cookies(
    client: CheckedClient, app: Flask, as_user: AsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, thief = sign_in(client, as_user()), new_client(app)
    stolen = cookie(client, REFRESH)
    assert stolen
    thief.set_cookie(REFRESH, stolen)
    assert client.put(URL, headers=csrf(begun)).status_code == 200
    assert thief.get(URL).status_code == 200  # for another ten seconds, as a second tab
    later = clock.now() + timedelta(seconds=11)
    monkeypatch.setattr(clock, "now", lambda: later)
    thief.set_cookie(REFRESH, stolen)
    assert refusal(thief.get(URL)) == (401, "session_ended")
    assert client.get("/auth/me").status_code == 200
    thief.set_cookie(REFRESH, stolen)
    answer = thief.put(URL, headers=csrf(begun))
    assert refusal(answer) == (401, "token_reused")
    assert set_by(answer).keys() == {ACCESS, REFRESH}
    assert cookie(thief, REFRESH) is None
    assert client.get("/auth/me").status_code == 401


def test_signing_out_ends_the_session_and_deletes_the_cookies(client: CheckedClient, as_user: AsUser) -> None:
    begun = sign_in(client, as_user())
    access = cookie(client, ACCESS)
    assert access
    answer = client.delete(URL, headers=csrf(begun))
    assert (answer.status_code, answer.data) == (204, b"")
    assert (cookie(client, ACCESS), cookie(client, REFRESH)) == (None, None)
    assert client.get(URL).status_code == 401
    client.set_cookie(ACCESS, access)
    assert refusal(client.get(URL)) == (401, "session_ended")


def test_it_is_a_session_like_all_others_and_its_end_deletes_its_cookies(
    client: CheckedClient, as_user: AsUser
) -> None:
    member = as_user()
    sign_in(client, member)
    listed = member.get("/auth/sessions").get_json()["sessions"]
    assert len(listed) == 2
    (own,) = (session for session in client.get("/auth/sessions").get_json()["sessions"] if session["current"])
    assert own["id"] in {session["id"] for session in listed}
    assert member.delete(f"/auth/sessions/{own['id']}").status_code == 204
    ended = client.get("/api/v1/posts")
    assert refusal(ended) == (401, "session_ended")
    assert (cookie(client, ACCESS), cookie(client, REFRESH)) == (None, None)
    assert client.get("/api/v1/posts").status_code == 200


def test_where_both_are_sent_the_header_counts(client: CheckedClient, as_user: AsUser) -> None:
    member, other = as_user(), as_user()
    sign_in(client, member)
    use_token(client, other.environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer "))
    assert client.get("/auth/me").get_json()["id"] == other.user_id
    answer = client.get(URL).get_json()
    assert (answer["user"]["id"], answer["csrf_token"]) == (other.user_id, None)
    assert client.post("/api/v1/posts", json=POST).get_json()["user_id"] == other.user_id
    assert client.delete(URL).status_code == 204
    use_token(client, "nonsense")
    for answer in (client.get("/auth/me"), client.put(URL), client.get(URL)):
        assert refusal(answer) == (401, "invalid_token")
    use_token(client, None)
    assert client.get("/auth/me").get_json()["id"] == member.user_id


def test_a_token_is_taken_only_as_the_cookie_that_it_was_made_for(client: CheckedClient, as_user: AsUser) -> None:
    begun = sign_in(client, as_user())
    access, refresh = cookie(client, ACCESS), cookie(client, REFRESH)
    assert access
    assert refresh
    client.set_cookie(ACCESS, refresh)
    client.set_cookie(REFRESH, access)
    assert refusal(client.get("/auth/me")) == (401, "invalid_token")
    assert refusal(client.put(URL, headers=csrf(begun))) == (401, "invalid_token")
    assert cookie(client, REFRESH) is None
    assert client.post("/auth/refresh", headers=csrf(begun)).status_code == 401


def test_the_document_names_the_cookies_and_the_csrf_token(app: Flask) -> None:
    paths, schemes = document(app)["paths"], document(app)["components"]["securitySchemes"]
    assert schemes["access_cookie"] == {"type": "apiKey", "in": "cookie", "name": ACCESS}
    assert schemes["csrf_token"] == {"type": "apiKey", "in": "header", "name": "X-CSRF-TOKEN"}
    assert paths["/api/v1/todos"]["get"]["security"] == [{"access_token": []}, {"access_cookie": []}]
    assert paths["/api/v1/todos"]["post"]["security"] == [
        {"access_token": []},
        {"access_cookie": [], "csrf_token": []},
    ]
    assert {"refresh_cookie": [], "csrf_token": []} in paths[URL]["put"]["security"]
    assert "403" in paths["/auth/logout"]["post"]["responses"]
