"""Signing in and out, and which tokens are taken."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from flask import Flask

from app.auth import service
from app.core.rest import endpoint
from app.core.unit_of_work import unit_of_work
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser, use_token

LOGIN = "/auth/login"
FOREIGN_KEY = "somebody-else-0123456789-abcdefgh"

Claims = dict[str, Any]


def credentials(member: CheckedClient, **changes: Any) -> Claims:
    return {"email": member.email, "password": PASSWORD} | changes


def sign_in(client: CheckedClient, member: CheckedClient) -> dict[str, Any]:
    tokens: dict[str, Any] = client.post(LOGIN, json=credentials(member)).get_json()
    return tokens


def without(claims: Claims, name: str) -> Claims:
    return {key: value for key, value in claims.items() if key != name}


def test_signing_in_gives_a_pair_of_tokens_and_the_account(client: CheckedClient, as_user: AsUser) -> None:
    member = as_user("moderator")
    answer = client.post(LOGIN, json=credentials(member, email=member.email.upper()))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    tokens = answer.get_json()
    assert tokens.keys() == {"access_token", "refresh_token", "token_type", "expires_in", "user"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
    use_token(client, tokens["access_token"])
    me = client.get("/auth/me").get_json()
    assert me == tokens["user"] == client.get(f"/api/v1/users/{member.user_id}").get_json()
    assert (me["id"], me["email"], me["role"]) == (member.user_id, member.email, "moderator")


def test_wrong_unknown_disabled_and_deleted_are_answered_alike(client: CheckedClient, as_user: AsUser) -> None:
    admin, member, disabled, deleted = as_user("admin"), as_user(), as_user(), as_user()
    admin.patch(f"/api/v1/users/{disabled.user_id}", json={"is_active": False})
    deleted.delete(f"/api/v1/users/{deleted.user_id}")
    answers = [
        client.post(LOGIN, json=sent)
        for sent in (
            credentials(member, password="Wrong-horse-1"),
            credentials(member, email="nobody@example.com"),
            credentials(member, email="no address"),
            credentials(disabled),
            credentials(deleted),
        )
    ]
    bodies = [without(answer.get_json(), "request_id") for answer in answers]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Bearer"}
    assert bodies == [bodies[0]] * len(bodies)
    assert bodies[0]["message"] == "Invalid credentials"


@pytest.mark.parametrize(("method", "sent"), [("delete", {}), ("patch", {"json": {"is_active": False}})])
def test_who_is_deleted_or_disabled_while_signing_in_is_not_let_in(
    client: CheckedClient, as_user: AsUser, monkeypatch: pytest.MonkeyPatch, method: str, sent: dict[str, Any]
) -> None:
    admin, member = as_user("admin"), as_user()

    def after_the_password_was_checked(work: Callable[[], Any], **kwargs: Any) -> Any:
        monkeypatch.undo()
        assert getattr(admin, method)(f"/api/v1/users/{member.user_id}", **sent).status_code in (200, 204)
        return unit_of_work(work, **kwargs)

    monkeypatch.setattr(endpoint, "unit_of_work", after_the_password_was_checked)
    assert client.post(LOGIN, json=credentials(member)).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": PASSWORD}, "email"),
        ({"email": "ada@example.com"}, "password"),
        ({"email": None, "password": PASSWORD}, "email"),
        ({"email": "ada@example.com", "password": 12345678}, "password"),
        ({"email": {"ne": ""}, "password": PASSWORD}, "email"),
        ({"email": "ada@example.com", "password": PASSWORD, "admin": True}, "admin"),
        ([], "_schema"),
    ],
)
def test_a_malformed_sign_in_is_told_what_is_wrong(client: CheckedClient, body: object, field: str) -> None:
    answer = client.post(LOGIN, json=body)
    assert answer.status_code == 400
    assert set(answer.get_json()["errors"]) == {field}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer "])
def test_bearer_is_taken_in_any_case(client: CheckedClient, as_user: AsUser, scheme: str) -> None:
    member = as_user()
    token = sign_in(client, member)["access_token"]
    answer = client.get("/auth/me", headers={"Authorization": f"{scheme} {token}"})
    assert (answer.status_code, answer.get_json().get("id")) == (200, member.user_id)


def test_a_token_is_taken_from_the_header_and_nowhere_else(client: CheckedClient, as_user: AsUser) -> None:
    token = sign_in(client, as_user())["access_token"]
    client.set_cookie("access_token_cookie", token)
    assert client.get("/auth/me").status_code == 401
    for name in ("access_token", "jwt"):
        assert client.get("/auth/me", query_string={name: token}).status_code in (400, 401)


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("get", "/auth/me"),
        ("post", "/auth/logout"),
        ("post", "/auth/refresh"),
        ("get", "/auth/sessions"),
        ("delete", "/auth/sessions"),
        ("delete", "/auth/sessions/1"),
        ("get", "/auth/permissions"),
    ],
)
def test_without_a_token_one_is_asked_to_sign_in(client: CheckedClient, method: str, url: str) -> None:
    answer = getattr(client, method)(url)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


NESTED = urlsafe_b64encode(b'{"alg":' + b"[" * 5000).decode()


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer a.b.c",
        "Bearer ..",
        "Bearer äöü.äöü.äöü",
        "Bearer null",
        "Bearer two tokens",
        "Basic YTpi",
        "Token abc",
        pytest.param("Bearer " + "x" * 7000, id="long"),
        pytest.param(f"Bearer {NESTED}.e30.AA", id="nested"),
    ],
)
@pytest.mark.parametrize("url", ["/auth/me", "/api/v1/posts"])
def test_garbage_is_no_token_not_even_where_none_is_needed(client: CheckedClient, url: str, header: str) -> None:
    answer = client.get(url, headers={"Authorization": header})
    assert (answer.status_code, answer.headers.get("WWW-Authenticate")) == (401, "Bearer")
    assert client.post("/auth/refresh", headers={"Authorization": header}).status_code == 401


FORGERIES: dict[str, Callable[[Claims, str], str]] = {
    "foreign key": lambda claims, _: jwt.encode(claims, FOREIGN_KEY),
    "alg none": lambda claims, _: jwt.encode(claims, "", algorithm="none"),
    "cut signature": lambda claims, key: jwt.encode(claims, key).rpartition(".")[0] + ".",
    "changed claims": lambda claims, key: ".".join(
        (jwt.encode(claims | {"sub": "1"}, key).rpartition(".")[0], jwt.encode(claims, key).rpartition(".")[2])
    ),
    "no exp": lambda claims, key: jwt.encode(without(claims, "exp"), key),
    "expired": lambda claims, key: jwt.encode(claims | {"exp": claims["iat"] - 1}, key),
    "not yet": lambda claims, key: jwt.encode(claims | {"nbf": claims["exp"]}, key),
    "no jti": lambda claims, key: jwt.encode(without(claims, "jti"), key),
    "no session": lambda claims, key: jwt.encode(without(claims, "sid"), key),
    "unknown session": lambda claims, key: jwt.encode(claims | {"sid": 4711}, key),
    "session as words": lambda claims, key: jwt.encode(claims | {"sid": "mine"}, key),
    "session as list": lambda claims, key: jwt.encode(claims | {"sid": [1]}, key),
    "session as a fraction": lambda claims, key: jwt.encode(claims | {"sid": claims["sid"] + 0.5}, key),
    "session as text": lambda claims, key: jwt.encode(claims | {"sid": str(claims["sid"])}, key),
    "session of 65 bits": lambda claims, key: jwt.encode(claims | {"sid": 2**64}, key),
    "session below all": lambda claims, key: jwt.encode(claims | {"sid": -(2**64)}, key),
    "session beyond 63 bits": lambda claims, key: jwt.encode(claims | {"sid": 2**63}, key),
    "subject of 65 bits": lambda claims, key: jwt.encode(claims | {"sub": str(2**64)}, key),
    "subject beyond 63 bits": lambda claims, key: jwt.encode(claims | {"sub": str(2**63)}, key),
    "subject below all": lambda claims, key: jwt.encode(claims | {"sub": str(-(2**64))}, key),
    "subject with a space": lambda claims, key: jwt.encode(claims | {"sub": " " + claims["sub"]}, key),
    "subject in other digits": lambda claims, key: jwt.encode(claims | {"sub": "\u0662"}, key),
    "subject of 5,000 digits": lambda claims, key: jwt.encode(claims | {"sub": "1" * 5000}, key),
    "jti with NUL": lambda claims, key: jwt.encode(claims | {"jti": "\0"}, key),
    "half a character as jti": lambda claims, key: jwt.encode(claims | {"jti": "\ud800"}, key),
    "exp beyond all": lambda claims, key: jwt.encode(claims | {"exp": float("inf")}, key),
    "another's session": lambda claims, key: jwt.encode(claims | {"sub": "1"}, key),
    "no subject": lambda claims, key: jwt.encode(without(claims, "sub"), key),
    "no audience": lambda claims, key: jwt.encode(without(claims, "aud"), key),
    "other audience": lambda claims, key: jwt.encode(claims | {"aud": "elsewhere"}, key),
    "other issuer": lambda claims, key: jwt.encode(claims | {"iss": "elsewhere"}, key),
    "no issuer": lambda claims, key: jwt.encode(without(claims, "iss"), key),
}


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_a_forged_expired_or_incomplete_token_is_refused(
    app: Flask, client: CheckedClient, as_user: AsUser, kind: str, forgery: str
) -> None:
    as_user("admin")
    tokens = sign_in(client, as_user())
    claims = jwt.decode(tokens[kind], options={"verify_signature": False})
    method, url = ("GET", "/auth/me") if kind == "access_token" else ("POST", "/auth/refresh")

    use_token(client, FORGERIES[forgery](claims, app.config["JWT_SECRET_KEY"]))
    refused = client.open(url, method=method)
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    use_token(client, jwt.encode(claims, app.config["JWT_SECRET_KEY"]))
    assert client.open(url, method=method).status_code == 200


@pytest.mark.parametrize(("ahead", "status"), [(0.3, 200), (4, 200), (60, 401)])
def test_a_token_of_a_host_whose_clock_is_a_little_ahead_is_taken(
    app: Flask, client: CheckedClient, as_user: AsUser, ahead: float, status: int
) -> None:
    claims = jwt.decode(sign_in(client, as_user())["access_token"], options={"verify_signature": False})
    issued = claims["iat"] + ahead
    use_token(client, jwt.encode(claims | {"iat": issued, "nbf": issued}, app.config["JWT_SECRET_KEY"]))
    assert client.get("/auth/me").status_code == status


def test_each_kind_of_token_does_only_its_own_work(client: CheckedClient, as_user: AsUser) -> None:
    tokens = sign_in(client, as_user())
    use_token(client, tokens["refresh_token"])
    for url in ("/auth/me", "/api/v1/todos", "/api/v1/posts"):
        answer = client.get(url)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert client.post("/auth/logout").status_code == 401
    use_token(client, tokens["access_token"])
    answer = client.post("/auth/refresh")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert client.get("/auth/me").status_code == 200


def test_signing_out_kills_both_tokens_at_once_and_no_other_session(client: CheckedClient, as_user: AsUser) -> None:
    member = as_user()
    first, second = sign_in(client, member), sign_in(client, member)
    use_token(client, first["access_token"])
    answer = client.post("/auth/logout")
    assert (answer.status_code, answer.get_json()) == (200, {"message": "Logged out successfully"})
    assert client.get("/auth/me").status_code == 401
    assert client.post("/auth/logout").status_code == 401
    use_token(client, first["refresh_token"])
    assert client.post("/auth/refresh").status_code == 401
    use_token(client, second["access_token"])
    assert client.get("/auth/me").status_code == 200
    assert member.get("/auth/me").status_code == 200


@pytest.mark.parametrize("role", ["member", "moderator", "treasurer", "admin"])
def test_the_permissions_of_all_roles_and_ones_own_are_published(as_user: AsUser, role: str) -> None:
    permissions = as_user(role).get("/auth/permissions").get_json()
    roles = permissions["roles"]
    assert roles.keys() == {"member", "moderator", "treasurer", "admin"}
    assert permissions["own"] == roles[role]
    assert set(roles["member"]) <= set(roles["moderator"]) < set(roles["admin"])
    assert set(roles["member"]) <= set(roles["treasurer"]) <= set(roles["admin"])
    assert "post:write" in roles["member"]
    assert "user:manage" not in {*roles["member"], *roles["moderator"], *roles["treasurer"]}


@pytest.mark.parametrize("url", ["/auth/login", "/auth/session"])
def test_a_password_that_is_changed_while_it_is_checked_signs_nobody_in(
    app: Flask, client: CheckedClient, as_user: AsUser, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    member = as_user()

    def change(_hash: str) -> bool:
        changed = {"current_password": PASSWORD, "new_password": "Another-horse-2"}
        with app.app_context():
            assert member.put("/auth/password", json=changed).status_code == 204
        return False

    monkeypatch.setattr(service, "needs_rehash", change)
    answer = client.post(url, json={"email": member.email, "password": PASSWORD})
    assert (answer.status_code, answer.get_json()["code"]) == (401, "invalid_credentials")
    assert len(member.get("/auth/sessions").get_json()["sessions"]) == 1
