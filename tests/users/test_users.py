"""Accounts: who sees them, who changes them, and how they end."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.core.rest import endpoint
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.todos.models import Todo
from app.users.models import User
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser, new_client, use_token

URL = "/api/v1/users"
NEW = {"email": "Ada@Example.com", "name": "Ada", "password": PASSWORD}
PUBLIC = {"id", "name", "created_at"}
ACCOUNT = PUBLIC | {"email", "role", "is_active", "notify_by_email", "email_verified", "updated_at"}
LAST_ADMIN: list[tuple[str, dict[str, Any]]] = [
    ("patch", {"json": {"role": "moderator"}}),
    ("put", {"json": {"name": "Still here", "role": "member"}}),
    ("patch", {"json": {"is_active": False}}),
    ("delete", {}),
]


def url_of(user: CheckedClient) -> str:
    return f"{URL}/{user.user_id}"


def sign_in(client: CheckedClient, email: str, password: str = PASSWORD) -> TestResponse:
    return client.post("/auth/login", json={"email": email, "password": password})


def at_once(*calls: Callable[[], TestResponse]) -> list[TestResponse]:
    barrier = Barrier(len(calls))

    def run(call: Callable[[], TestResponse]) -> TestResponse:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_who_signs_up_has_an_account_and_can_sign_in(client: CheckedClient) -> None:
    made = client.post(URL, json=NEW)
    assert made.status_code == 201
    user = made.get_json()
    assert user.keys() == ACCOUNT
    assert (user["email"], user["name"], user["role"]) == ("Ada@Example.com", "Ada", "member")
    assert (user["is_active"], user["notify_by_email"], user["email_verified"]) == (True, True, False)
    assert user["created_at"].endswith("Z")
    assert made.headers["Location"] == f"{URL}/{user['id']}"
    assert client.get(made.headers["Location"]).get_json() == {key: user[key] for key in PUBLIC}
    assert sign_in(client, "ada@example.COM").get_json()["user"] == user


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"role": "admin"}, "role"),
        ({"is_active": True}, "is_active"),
        ({"notify_by_email": False}, "notify_by_email"),
        ({"email_verified": True}, "email_verified"),
        ({"id": 7}, "id"),
        ({"current_password": PASSWORD}, "current_password"),
        ({"name": "A"}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": "   "}, "name"),
        ({"name": None}, "name"),
        ({"name": 12}, "name"),
        ({"email": "ada"}, "email"),
        ({"email": "ada@example"}, "email"),
        ({"email": " ada@example.com"}, "email"),
        ({"email": "ada@example.com\n"}, "email"),
        ({"email": "ada@exa mple.com"}, "email"),
        ({"email": "x" * 109 + "@example.com"}, "email"),
        ({"email": None}, "email"),
        ({"password": None}, "password"),
    ],
)
def test_a_sign_up_takes_good_email_name_and_password_and_nothing_else(
    client: CheckedClient, changes: dict[str, Any], field: str
) -> None:
    answer = client.post(URL, json=NEW | changes)
    assert answer.status_code == 400
    assert set(answer.get_json()["errors"]) == {field}
    assert client.get(URL).get_json()["total"] == 0


@pytest.mark.parametrize("field", ["email", "name", "password"])
def test_a_sign_up_needs_all_three(client: CheckedClient, field: str) -> None:
    answer = client.post(URL, json={key: value for key, value in NEW.items() if key != field})
    assert answer.status_code == 400
    assert set(answer.get_json()["errors"]) == {field}


def test_names_and_addresses_may_be_as_long_as_is_said(client: CheckedClient) -> None:
    long = NEW | {"name": "🍋" * 80, "email": "x" * 108 + "@example.com"}
    assert client.post(URL, json=long).get_json()["name"] == "🍋" * 80
    assert client.post(URL, json=NEW | {"name": "Al"}).status_code == 201


def test_an_address_is_unique_without_regard_to_case(client: CheckedClient) -> None:
    assert client.post(URL, json=NEW).status_code == 201
    answer = client.post(URL, json=NEW | {"email": "aDA@eXAMPLE.COM"})
    assert (answer.status_code, answer.get_json()["code"]) == (409, "email_taken")
    assert "email" in answer.get_json()["errors"]


def test_of_eight_who_sign_up_at_once_with_one_address_one_gets_it(app: Flask, client: CheckedClient) -> None:
    def sign_up(number: int) -> Callable[[], TestResponse]:
        email = "ada@example.com" if number % 2 else "ADA@EXAMPLE.COM"
        return lambda: new_client(app).post(URL, json=NEW | {"email": email})

    answers = at_once(*map(sign_up, range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert {answer.get_json().get("code") for answer in answers} == {None, "email_taken"}
    assert client.get(URL).get_json()["total"] == 1


def test_private_fields_are_shown_only_to_the_member_and_to_admins(client: CheckedClient, as_user: AsUser) -> None:
    member = as_user("member")
    for reader in (client, as_user("member"), as_user("moderator"), as_user("treasurer")):
        assert reader.get(url_of(member)).get_json().keys() == PUBLIC
        shown = {user["id"]: user for user in reader.get(URL).get_json()["users"]}
        assert shown[member.user_id].keys() == PUBLIC
    for reader in (member, as_user("admin")):
        assert reader.get(url_of(member)).get_json().keys() == ACCOUNT
        shown = {user["id"]: user for user in reader.get(URL).get_json()["users"]}
        assert shown[member.user_id].keys() == ACCOUNT


def test_members_are_listed_the_newest_first(client: CheckedClient, as_user: AsUser) -> None:
    members = [as_user(name=name) for name in ("Ada", "Ben", "Cleo")]
    page = client.get(URL).get_json()
    assert [user["id"] for user in page["users"]] == [member.user_id for member in reversed(members)]
    assert (page["total"], page["page"], page["pages"], page["has_more"]) == (3, 1, 1, False)


def test_a_disabled_member_is_seen_by_admins_only(client: CheckedClient, as_user: AsUser) -> None:
    admin, member, gone = as_user("admin"), as_user(), as_user()
    assert admin.patch(url_of(gone), json={"is_active": False}).get_json()["is_active"] is False
    for reader in (client, member, as_user("moderator"), as_user("treasurer")):
        assert reader.get(url_of(gone)).status_code == 404
        assert gone.user_id not in [user["id"] for user in reader.get(URL).get_json()["users"]]
    assert member.patch(url_of(gone), json={"name": "Taken over"}).status_code == 404
    assert member.delete(url_of(gone)).status_code == 404
    assert admin.get(url_of(gone)).get_json()["email"] == gone.email
    assert gone.user_id in [user["id"] for user in admin.get(URL).get_json()["users"]]


@pytest.mark.parametrize("role", ["member", "moderator", "treasurer", "admin"])
def test_a_member_of_any_role_changes_the_own_account(as_user: AsUser, role: str) -> None:
    member = as_user(role)
    before = member.get(url_of(member)).get_json()
    changed = member.patch(url_of(member), json={"name": "New name", "notify_by_email": False}).get_json()
    assert changed == before | {"name": "New name", "notify_by_email": False, "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > before["updated_at"]
    assert member.get(url_of(member)).get_json() == changed


def test_a_put_needs_the_name_and_leaves_what_is_absent(as_user: AsUser) -> None:
    member = as_user()
    before = member.patch(url_of(member), json={"notify_by_email": False}).get_json()
    replaced = member.put(url_of(member), json={"name": "New name"})
    assert replaced.status_code == 200
    assert replaced.get_json() == before | {"name": "New name", "updated_at": replaced.get_json()["updated_at"]}
    answer = member.put(url_of(member), json={"notify_by_email": True})
    assert (answer.status_code, set(answer.get_json()["errors"])) == (400, {"name"})


def test_a_change_that_changes_nothing_leaves_the_moment_of_the_last_change(as_user: AsUser) -> None:
    member = as_user()
    before = member.get(url_of(member)).get_json()
    assert member.patch(url_of(member), json={}).get_json() == before
    assert member.patch(url_of(member), json={"name": before["name"]}).get_json() == before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": 7}, "id"),
        ({"created_at": "2026-01-01T00:00:00Z"}, "created_at"),
        ({"updated_at": "2026-01-01T00:00:00Z"}, "updated_at"),
        ({"email_verified": True}, "email_verified"),
        ({"password": "Another-horse-2"}, "password"),
        ({"colour": "red"}, "colour"),
        ({"name": "A"}, "name"),
        ({"name": None}, "name"),
        ({"email": None}, "email"),
        ({"notify_by_email": "no"}, "notify_by_email"),
        ({"role": "king"}, "role"),
        ({"role": None}, "role"),
        ({"is_active": 0}, "is_active"),
    ],
)
@pytest.mark.parametrize("method", ["put", "patch"])
def test_what_does_not_fit_or_is_only_read_is_refused(
    as_user: AsUser, method: str, changes: dict[str, Any], field: str
) -> None:
    admin, member = as_user("admin"), as_user()
    before = member.get(url_of(member)).get_json()
    answer = getattr(admin, method)(url_of(member), json={"name": "New name"} | changes)
    assert answer.status_code == 400
    assert set(answer.get_json()["errors"]) == {field}
    assert member.get(url_of(member)).get_json() == before


@pytest.mark.parametrize(
    ("method", "body"), [("put", {"name": "Taken over"}), ("patch", {"name": "Taken over"}), ("delete", None)]
)
def test_only_the_member_and_admins_change_or_delete_an_account(
    client: CheckedClient, as_user: AsUser, method: str, body: dict[str, str] | None
) -> None:
    member = as_user()
    sent = {"json": body} if body else {}
    anonymous = getattr(client, method)(url_of(member), **sent)
    assert (anonymous.status_code, anonymous.headers["WWW-Authenticate"]) == (401, "Bearer")
    for role in ("member", "moderator", "treasurer"):
        stranger = as_user(role)
        refused = getattr(stranger, method)(url_of(member), **sent)
        assert refused.status_code == 403
        assert "user:manage" in refused.get_json()["message"]
        assert getattr(stranger, method)(f"{URL}/4711", **sent).status_code == 404
    assert member.get(url_of(member)).get_json()["name"] != "Taken over"
    assert getattr(as_user("admin"), method)(url_of(member), **sent).status_code in (200, 204)


@pytest.mark.parametrize("user_id", ["4711", "0", "-1", "01", "9223372036854775807", "9223372036854775808", "1.0", "x"])
def test_an_unknown_or_impossible_member_is_not_found(as_user: AsUser, user_id: str) -> None:
    admin = as_user("admin")
    assert admin.get(f"{URL}/{user_id}").status_code == 404
    assert admin.patch(f"{URL}/{user_id}", json={"name": "Nobody"}).status_code == 404
    assert admin.delete(f"{URL}/{user_id}").status_code == 404


@pytest.mark.parametrize("changes", [{"role": "admin"}, {"role": "member"}, {"is_active": True}, {"is_active": False}])
@pytest.mark.parametrize("role", ["member", "moderator", "treasurer"])
def test_role_and_state_are_not_for_those_who_are_no_admins(
    as_user: AsUser, role: str, changes: dict[str, Any]
) -> None:
    member = as_user(role)
    before = member.get(url_of(member)).get_json()
    assert member.patch(url_of(member), json=changes).status_code == 403
    assert member.put(url_of(member), json={"name": "New name"} | changes).status_code == 403
    assert member.get(url_of(member)).get_json() == before


def test_an_admin_changes_all_of_another_without_a_password(as_user: AsUser) -> None:
    admin, member = as_user("admin"), as_user()
    changes = {"name": "New name", "email": "new@example.com", "role": "treasurer", "is_active": False}
    changed = admin.patch(url_of(member), json=changes).get_json()
    assert {key: changed[key] for key in changes} == changes
    assert admin.get(url_of(member)).get_json() == changed


def test_a_new_role_takes_effect_on_the_next_request(as_user: AsUser) -> None:
    admin, member, other = as_user("admin"), as_user(), as_user()
    for role, status in (("admin", 200), ("moderator", 403), ("admin", 200), ("member", 403)):
        assert admin.patch(url_of(member), json={"role": role}).status_code == 200
        assert member.patch(url_of(other), json={"notify_by_email": True}).status_code == status
        assert member.get("/auth/me").get_json()["role"] == role


@pytest.mark.parametrize("role", ["member", "admin"])
def test_the_own_address_changes_only_with_the_current_password(
    client: CheckedClient, as_user: AsUser, role: str
) -> None:
    member = as_user(role)
    for password, status, code in (
        ({}, 400, "validation_failed"),
        ({"current_password": "Wrong-horse-1"}, 403, "invalid_credentials"),
    ):
        answer = member.patch(url_of(member), json={"email": "new@example.com"} | password)
        assert (answer.status_code, answer.get_json()["code"]) == (status, code)
        answer = member.put(url_of(member), json={"name": "x y", "email": "new@example.com"} | password)
        assert (answer.status_code, answer.get_json()["code"]) == (status, code)
    assert member.get(url_of(member)).get_json()["email"] == member.email

    changed = member.patch(url_of(member), json={"email": "New@example.com", "current_password": PASSWORD})
    assert (changed.status_code, changed.get_json()["email"]) == (200, "New@example.com")
    assert "current_password" not in changed.get_json()
    assert sign_in(client, "new@example.com").status_code == 200
    assert sign_in(client, member.email).status_code == 401


def test_the_own_address_sent_as_it_is_needs_no_password(as_user: AsUser) -> None:
    member = as_user()
    assert member.put(url_of(member), json={"name": "New name", "email": member.email}).status_code == 200


def test_a_changed_address_is_not_verified(app: Flask, as_user: AsUser) -> None:
    admin, member = as_user("admin"), as_user()
    with app.app_context():
        unit_of_work(lambda: setattr(db.session.get(User, member.user_id), "email_verified", True))
    assert admin.patch(url_of(member), json={"email": member.email}).get_json()["email_verified"] is True
    assert admin.patch(url_of(member), json={"email": "new@example.com"}).get_json()["email_verified"] is False


def test_an_address_cannot_be_changed_to_a_taken_one_but_to_another_case_of_it(as_user: AsUser) -> None:
    admin, member, other = as_user("admin"), as_user(), as_user()
    for email in (other.email, other.email.upper()):
        for caller in (admin, member):
            answer = caller.patch(url_of(member), json={"email": email, "current_password": PASSWORD})
            assert (answer.status_code, answer.get_json()["code"]) == (409, "email_taken")
    own = {"email": member.email.upper(), "current_password": PASSWORD}
    assert member.patch(url_of(member), json=own).get_json()["email"] == member.email.upper()


@pytest.mark.parametrize(("method", "sent"), LAST_ADMIN)
def test_the_last_active_admin_stays_one(as_user: AsUser, method: str, sent: dict[str, Any]) -> None:
    admin, disabled = as_user("admin"), as_user("admin")
    assert admin.patch(url_of(disabled), json={"is_active": False}).status_code == 200
    before = admin.get(url_of(admin)).get_json()
    answer = getattr(admin, method)(url_of(admin), **sent)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "last_admin")
    assert admin.get(url_of(admin)).get_json() == before
    assert admin.patch(url_of(admin), json={"name": "New name", "role": "admin", "is_active": True}).status_code == 200


@pytest.mark.parametrize(("method", "sent"), LAST_ADMIN)
def test_one_of_two_admins_may_go(as_user: AsUser, method: str, sent: dict[str, Any]) -> None:
    admin, second = as_user("admin"), as_user("admin")
    assert getattr(second, method)(url_of(second), **sent).status_code in (200, 204)
    assert getattr(admin, method)(url_of(admin), **sent).status_code == 409


@pytest.mark.parametrize(("method", "sent"), LAST_ADMIN)
def test_of_two_admins_who_remove_each_other_at_once_one_remains(
    as_user: AsUser, monkeypatch: pytest.MonkeyPatch, method: str, sent: dict[str, Any]
) -> None:
    admins = as_user("admin"), as_user("admin")
    both_are_let_in = Barrier(2)

    def after_both_are_let_in(work: Callable[[], Any], **kwargs: Any) -> Any:
        both_are_let_in.wait()
        return unit_of_work(work, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(endpoint, "unit_of_work", after_both_are_let_in)
        answers = at_once(
            lambda: getattr(admins[0], method)(url_of(admins[1]), **sent),
            lambda: getattr(admins[1], method)(url_of(admins[0]), **sent),
        )
    lost, won = sorted(answers, key=lambda answer: answer.status_code, reverse=True)
    assert won.status_code in (200, 204)
    assert lost.status_code in (401, 403, 409)  # deleted or demoted before, or refused as the last one
    remaining = [admin for admin in admins if admin.get("/auth/me").get_json().get("role") == "admin"]
    assert len(remaining) == 1


def test_a_disabled_member_is_out_on_the_next_request_and_cannot_sign_in(
    client: CheckedClient, as_user: AsUser
) -> None:
    admin, member = as_user("admin"), as_user()
    refresh_token = sign_in(client, member.email).get_json()["refresh_token"]
    assert admin.patch(url_of(member), json={"is_active": False}).status_code == 200
    assert member.get("/auth/me").status_code == 401
    assert member.get(URL).status_code == 401
    assert sign_in(client, member.email).status_code == 401
    assert client.post("/auth/refresh", headers={"Authorization": f"Bearer {refresh_token}"}).status_code == 401
    assert client.post(URL, json=NEW | {"email": member.email}).status_code == 409
    assert admin.patch(url_of(member), json={"is_active": True}).status_code == 200
    assert sign_in(client, member.email).status_code == 200


@pytest.mark.parametrize("by", ["member", "admin"])
def test_a_deleted_member_is_gone_and_the_address_is_free(
    app: Flask, client: CheckedClient, as_user: AsUser, by: str
) -> None:
    admin, member, other = as_user("admin"), as_user(), as_user()
    post = member.post("/api/v1/posts", json={"title": "Mine", "content": "Mine"}).headers["Location"]
    kept = other.post("/api/v1/posts", json={"title": "Not mine", "content": "Not mine"}).headers["Location"]
    member.post("/api/v1/todos", json={"task": "Mine"})
    second = sign_in(client, member.email).get_json()

    deleted = (member if by == "member" else admin).delete(url_of(member))
    assert (deleted.status_code, deleted.data) == (204, b"")

    assert member.get("/auth/me").status_code == 401
    for token in (second["access_token"], second["refresh_token"]):
        use_token(client, token)
        assert client.get("/auth/me").status_code == 401
        assert client.post("/auth/refresh").status_code == 401
    use_token(client, None)
    assert sign_in(client, member.email).status_code == 401
    for reader in (client, other, admin):
        assert reader.get(url_of(member)).status_code == 404
        assert reader.get(f"{url_of(member)}/posts").status_code == 404
        assert member.user_id not in [user["id"] for user in reader.get(URL).get_json()["users"]]
        assert reader.get(post).status_code == 404
        assert reader.get(kept).status_code == 200
    assert admin.delete(url_of(member)).status_code == 404
    assert admin.patch(url_of(member), json={"is_active": True}).status_code == 404

    again = client.post(URL, json=NEW | {"email": member.email})
    assert again.status_code == 201
    assert again.get_json()["id"] > other.user_id
    with app.app_context():
        row = db.session.get_one(User, member.user_id)
        assert (row.name, row.email, row.email_key, row.password_hash) == ("deleted member", None, None, None)
        assert db.session.query(Todo).count() == 0


@pytest.mark.parametrize(
    ("url", "body"), [("/api/v1/posts", {"title": "Late", "content": "Late"}), ("/api/v1/todos", {"task": "Late"})]
)
def test_what_a_member_writes_while_being_deleted_does_not_stay(
    app: Flask, as_user: AsUser, monkeypatch: pytest.MonkeyPatch, url: str, body: dict[str, str]
) -> None:
    admin, member = as_user("admin"), as_user()

    def after_the_deletion(work: Callable[[], Any], **kwargs: Any) -> Any:
        monkeypatch.undo()
        assert admin.delete(url_of(member)).status_code == 204
        return unit_of_work(work, **kwargs)

    monkeypatch.setattr(endpoint, "unit_of_work", after_the_deletion)
    assert member.post(url, json=body).status_code < 500
    assert admin.get("/api/v1/posts").get_json()["posts"] == []
    with app.app_context():
        assert db.session.query(Todo).count() == 0


@pytest.mark.parametrize(
    ("method", "sent", "statuses"),
    [
        ("delete", {}, [204] + [401] * 7),
        ("patch", {"json": {"email": "new@example.com", "current_password": PASSWORD}}, [200] * 8),
    ],
)
def test_a_member_who_changes_the_own_account_many_times_at_once_waits_in_line(
    app: Flask, as_user: AsUser, method: str, sent: dict[str, Any], statuses: list[int]
) -> None:
    member = as_user()

    def change() -> TestResponse:
        client = new_client(app)
        client.environ_base = dict(member.environ_base)
        answer: TestResponse = getattr(client, method)(url_of(member), **sent)
        return answer

    answers = at_once(*[change] * 8)
    assert sorted(answer.status_code for answer in answers) == statuses
