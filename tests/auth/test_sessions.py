"""Sessions: where one is signed in, and how that ends."""

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.core import clock
from app.core.unit_of_work import unit_of_work
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser, begin_session, dispose, new_client, use_token

URL = "/auth/sessions"
SESSION = {"id", "created_at", "last_used_at", "address", "agent", "current"}


def signed_in(app: Flask, member: CheckedClient, agent: str = "Another browser") -> CheckedClient:
    client = new_client(app)
    body = {"email": member.email, "password": PASSWORD}
    tokens = client.post("/auth/login", json=body, headers={"User-Agent": agent}).get_json()
    use_token(client, tokens["access_token"])
    return client


def sessions(client: CheckedClient) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = client.get(URL).get_json()["sessions"]
    return listed


def current(client: CheckedClient) -> int:
    (session,) = (session for session in sessions(client) if session["current"])
    return int(session["id"])


def test_ones_sessions_are_listed_and_exactly_one_is_current(app: Flask, as_user: AsUser) -> None:
    member, stranger = as_user(), as_user()
    second, third = signed_in(app, member, "Phone"), signed_in(app, member, "Tablet")
    page = member.get(URL).get_json()
    assert (page["total"], [session["agent"] for session in page["sessions"]]) == (3, ["Tablet", "Phone", "tests"])
    assert all(session.keys() == SESSION for session in page["sessions"])
    assert {session["address"] for session in page["sessions"]} == {"127.0.0.1"}
    ids = {current(member), current(second), current(third)}
    assert ids == {session["id"] for session in page["sessions"]}
    assert len(sessions(stranger)) == 1


@pytest.mark.parametrize(("agent", "kept"), [("x" * 5000, "x" * 200), ("", ""), ("a\tb", "ab")])
def test_an_agent_is_noted_as_far_as_it_fits(app: Flask, as_user: AsUser, agent: str, kept: str) -> None:
    assert sessions(signed_in(app, as_user(), agent))[0]["agent"] == kept


@pytest.mark.parametrize(
    ("forwarded", "kept"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("6.6.6.6, 192.0.2.1", "192.0.2.1"),
        ("junk", ""),
        ("192.0.2.256", ""),
        ("<script>", ""),
        ("fe80::1%<script>", "fe80::1"),
        ("1" * 5000, ""),
    ],
)
def test_an_address_is_noted_if_it_is_one(app: Flask, as_user: AsUser, forwarded: str, kept: str) -> None:
    member = as_user()
    proxied = create_app("testing", {"DATABASE_URL": app.config["DATABASE_URL"], "TRUSTED_PROXIES": 1})
    body = {"email": member.email, "password": PASSWORD}
    signed_in = proxied.test_client().post("/auth/login", json=body, headers={"X-Forwarded-For": forwarded})
    dispose(proxied)
    assert signed_in.status_code == 200
    assert sessions(member)[0]["address"] == kept


def test_a_refresh_is_noted_as_the_last_use(
    client: CheckedClient, as_user: AsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = client.post("/auth/login", json={"email": as_user().email, "password": PASSWORD}).get_json()
    use_token(client, tokens["access_token"])
    before = sessions(client)[0]
    later = clock.now() + timedelta(hours=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert (
        client.post("/auth/refresh", headers={"Authorization": f"Bearer {tokens['refresh_token']}"}).status_code == 200
    )
    after = sessions(client)[0]
    assert (after["id"], after["created_at"]) == (before["id"], before["created_at"])
    assert after["last_used_at"] > before["last_used_at"]


def test_one_session_is_ended_and_its_tokens_are_dead_at_once(
    app: Flask, client: CheckedClient, as_user: AsUser
) -> None:
    member = as_user()
    tokens = client.post("/auth/login", json={"email": member.email, "password": PASSWORD}).get_json()
    use_token(client, tokens["access_token"])
    ended = current(client)
    answer = member.delete(f"{URL}/{ended}")
    assert (answer.status_code, answer.data) == (204, b"")
    assert client.get("/auth/me").status_code == 401
    use_token(client, tokens["refresh_token"])
    assert client.post("/auth/refresh").status_code == 401
    assert [session["id"] for session in sessions(member)] == [current(member)]
    assert member.delete(f"{URL}/{ended}").status_code == 404


def test_the_session_that_asks_may_end_itself(as_user: AsUser) -> None:
    member = as_user()
    assert member.delete(f"{URL}/{current(member)}").status_code == 204
    assert member.get("/auth/me").status_code == 401


def test_all_others_are_ended_and_nobody_elses(app: Flask, as_user: AsUser) -> None:
    member, stranger = as_user(), as_user()
    others = [signed_in(app, member), signed_in(app, member)]
    answer = member.delete(URL)
    assert (answer.status_code, answer.data) == (204, b"")
    assert [other.get("/auth/me").status_code for other in others] == [401, 401]
    assert [session["current"] for session in sessions(member)] == [True]
    assert stranger.get("/auth/me").status_code == 200
    assert member.delete(URL).status_code == 204


@pytest.mark.parametrize("role", ["member", "moderator", "treasurer", "admin"])
def test_a_strangers_session_does_not_exist(as_user: AsUser, role: str) -> None:
    member, stranger = as_user(), as_user(role)
    assert stranger.delete(f"{URL}/{current(member)}").status_code == 404
    assert stranger.delete(f"{URL}/4711").status_code == 404
    assert member.get("/auth/me").status_code == 200


def of_user(member: CheckedClient, session_id: int | None = None) -> str:
    url = f"/api/v1/users/{member.user_id}/sessions"
    return url if session_id is None else f"{url}/{session_id}"


def test_an_admin_lists_and_ends_a_members_sessions_and_nobody_elses(app: Flask, as_user: AsUser) -> None:
    admin, member, stranger = as_user("admin"), as_user(), as_user()
    phone, tablet = signed_in(app, member, "Phone"), signed_in(app, member, "Tablet")
    listed = admin.get(of_user(member)).get_json()["sessions"]
    assert [session["agent"] for session in listed] == ["Tablet", "Phone", "tests"]
    assert {session["current"] for session in listed} == {False}

    assert admin.delete(of_user(member, current(phone))).status_code == 204
    assert phone.get("/auth/me").status_code == 401
    assert tablet.get("/auth/me").status_code == 200
    assert admin.delete(of_user(member, current(stranger))).status_code == 404

    assert admin.delete(of_user(member)).status_code == 204
    assert [one.get("/auth/me").status_code for one in (member, tablet, stranger, admin)] == [401, 401, 200, 200]
    assert admin.get(of_user(member)).get_json()["total"] == 0


def test_an_admin_who_ends_all_of_ones_own_sessions_keeps_the_one_that_asks(app: Flask, as_user: AsUser) -> None:
    admin = as_user("admin")
    other = signed_in(app, admin)
    assert [session["current"] for session in admin.get(of_user(admin)).get_json()["sessions"]] == [False, True]
    assert admin.delete(of_user(admin)).status_code == 204
    assert [one.get("/auth/me").status_code for one in (admin, other)] == [200, 401]


def test_others_than_admins_see_nobodys_sessions_there_and_an_admin_none_of_a_member_who_is_gone(
    as_user: AsUser,
) -> None:
    admin, member, treasurer = as_user("admin"), as_user(), as_user("treasurer")
    for caller in (member, treasurer):
        assert caller.get(of_user(member)).status_code == 403
        assert caller.delete(of_user(member)).status_code == 403
        assert caller.delete(of_user(member, current(member))).status_code == 403
    assert member.delete(f"/api/v1/users/{member.user_id}").status_code == 204
    assert [admin.get(of_user(member)).status_code, admin.delete(of_user(member)).status_code] == [404, 404]


def test_disabling_a_member_ends_every_session_for_good(app: Flask, as_user: AsUser, client: CheckedClient) -> None:
    admin, member = as_user("admin"), as_user()
    tokens = client.post("/auth/login", json={"email": member.email, "password": PASSWORD}).get_json()
    for is_active in (False, True):
        changed = admin.patch(f"/api/v1/users/{member.user_id}", json={"is_active": is_active})
        assert changed.get_json()["is_active"] is is_active
    assert member.get("/auth/me").get_json()["code"] == "session_ended"
    use_token(client, tokens["refresh_token"])
    assert client.post("/auth/refresh").status_code == 401
    assert signed_in(app, member).get("/auth/me").status_code == 200


def test_who_signs_in_while_being_disabled_is_signed_out_as_well(
    app: Flask, as_user: AsUser, password_hash: str
) -> None:
    admin, member = as_user("admin"), as_user()
    url = f"/api/v1/users/{member.user_id}"
    has_signed_in, may_commit = Event(), Event()

    def sign_in_slowly() -> str:
        tokens = begin_session(member.user_id, password_hash)
        has_signed_in.set()
        may_commit.wait(4)
        return str(tokens["access_token"])

    def in_another_thread() -> str:
        with app.app_context():
            return unit_of_work(sign_in_slowly)

    with ThreadPoolExecutor(2) as pool:
        token = pool.submit(in_another_thread)
        assert has_signed_in.wait(4)
        disabled = pool.submit(admin.patch, url, json={"is_active": False})
        wait([disabled], timeout=0.5)
        may_commit.set()
        assert disabled.result().status_code == 200
    assert admin.patch(url, json={"is_active": True}).status_code == 200
    use_token(member, token.result())
    assert member.get("/auth/me").status_code == 401


def test_a_session_is_over_after_thirty_days(app: Flask, as_user: AsUser, monkeypatch: pytest.MonkeyPatch) -> None:
    member = as_user()
    begun = clock.now()
    monkeypatch.setattr(clock, "now", lambda: begun + timedelta(days=29))
    second = signed_in(app, member)
    assert member.get("/auth/me").status_code == 200
    assert len(sessions(second)) == 2

    monkeypatch.setattr(clock, "now", lambda: begun + timedelta(days=30))
    answer = member.get("/auth/me")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert [session["current"] for session in sessions(second)] == [True]
