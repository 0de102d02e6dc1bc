"""Who sees the audit log, that nobody changes it, and when it goes."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, insert, select, text
from sqlalchemy.exc import DBAPIError

from app.audit import service
from app.audit.models import ACTIONS, AuditRecord
from app.core import clock
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from tests.audit.conftest import POST, URL, Json, acts, log
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser, new_client
from tests.contract.resources import LISTS
from tests.contract.test_plans import assert_walk, pages_of
from tests.wallet.test_wallet import fund


def do(app: Flask, statement: Any) -> None:
    with app.app_context():
        unit_of_work(lambda: db.session.execute(statement))


def test_a_member_sees_what_the_member_did_and_what_was_done_to_the_member_or_what_is_the_members(
    client: CheckedClient, as_user: AsUser
) -> None:
    admin, ada, bob, eve = as_user("admin"), as_user(), as_user(), as_user()
    post = ada.post("/api/v1/posts", json=POST).get_json()["id"]
    admin.patch(f"/api/v1/posts/{post}", json={"is_hidden": True})
    fund(admin, ada, 10)
    sent = ada.post("/api/v1/transfers", json={"receiver_id": bob.user_id, "amount": 3}).get_json()["id"]
    assert admin.post(f"/api/v1/transfers/{sent}/reversal").status_code == 201
    admin.patch(f"/api/v1/users/{bob.user_id}", json={"role": "moderator"})
    client.post("/auth/login", json={"email": bob.email, "password": "Wrong-password-1"})
    assert acts(ada) == ["session.created", "post.hidden", "deposit.created", "transfer.reversed"]
    assert acts(bob) == ["session.created", "transfer.reversed", "user.role_changed", "session.failed"]
    assert acts(eve) == ["session.created"]
    everything = [record["id"] for record in log(admin)]
    assert {record["id"] for member in (ada, bob, eve) for record in log(member)} < set(everything)
    assert acts(admin, actor_id=ada.user_id) == ["session.created"]
    assert len(everything) == 4 + 5


def test_a_member_sees_from_where_others_tried_to_sign_in_and_not_where_an_admin_works(as_user: AsUser) -> None:
    admin, member = as_user("admin"), as_user()
    wrong = {"email": member.email, "password": "Wrong-password-1"}
    new_client(member.application).post("/auth/login", json=wrong, environ_overrides={"REMOTE_ADDR": "203.0.113.5"})
    admin.patch(f"/api/v1/users/{member.user_id}", json={"role": "moderator"})
    seen = {record["action"]: record["address"] for record in log(member) if record["action"] != "session.created"}
    assert seen == {"session.failed": "203.0.113.5", "user.role_changed": None}
    assert log(admin, action="user.role_changed")[0]["address"] == "127.0.0.1"


@pytest.mark.parametrize("address", ["", "unknown", "203.0.113.5:80", "<b>"])
def test_an_address_that_is_none_is_not_kept(client: CheckedClient, as_user: AsUser, address: str) -> None:
    wrong = {"email": "a@example.com", "password": "Wrong-password-1"}
    client.post("/auth/login", json=wrong, environ_overrides={"REMOTE_ADDR": address})
    assert log(as_user("admin"), action="session.failed")[0]["address"] is None


def test_the_log_is_filtered_by_act_actor_and_moment(as_user: AsUser) -> None:
    admin, member = as_user("admin"), as_user()
    fund(admin, member, 5)
    fund(admin, admin, 7)
    first, second = log(admin, action="deposit.created")
    assert [record["data"]["amount"] for record in (first, second)] == [5, 7]
    assert log(admin, action__in="deposit.created,withdrawal.created", created_at__gt=first["created_at"]) == [second]
    assert log(admin, actor_id=member.user_id, action="deposit.created") == []
    assert [record["id"] for record in log(member, actor_id=admin.user_id)] == [first["id"]]
    refused = admin.get(URL, query_string={"action": "nothing.known"})
    assert (refused.status_code, list(refused.get_json()["errors"])) == (400, ["action"])


def test_a_member_walks_the_own_records_by_cursor(app: Flask, as_user: AsUser) -> None:
    member, other = as_user(), as_user()
    owners = ("actor_id", "owner_id", "second_owner_id")
    rows = [{"action": "post.hidden", "data": {}, owners[i % 3]: member.user_id} for i in range(30)]
    rows += [dict.fromkeys(owners, member.user_id) | {"action": "post.hidden", "data": {}}]
    rows += [{"action": "post.hidden", "data": {}, owners[i % 3]: other.user_id} for i in range(30)]
    for row in rows:
        do(app, insert(AuditRecord).values(row))
    seen, cursor = [], ""
    while cursor is not None:
        page = member.get(URL, query_string={"cursor": cursor, "per_page": 7}).get_json()
        seen += [record["id"] for record in page["audit"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 32
    assert seen == sorted(seen, reverse=True)
    assert member.get(URL).get_json()["total"] == 32


@pytest.mark.parametrize("role", ["admin", "member"])
@pytest.mark.parametrize("query", [{}, {"action": "session.created"}, {"actor_id": 1}])
def test_the_log_is_found_along_indexes(app: Flask, as_user: AsUser, role: str, query: Json) -> None:
    reader, other = as_user(role), as_user()
    for _ in range(3):
        new_client(app).post("/auth/login", json={"email": reader.email, "password": PASSWORD})
        new_client(app).post("/auth/login", json={"email": other.email, "password": PASSWORD})
    (route,) = [route for route in LISTS if route.rule == URL]
    for sort in ("created_at", "-created_at"):
        assert_walk(app, pages_of(app, reader, route, sort=sort, **query), "audit", sort)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET action = 'session.ended'",
        "UPDATE audit SET actor_id = NULL",
        "UPDATE audit SET owner_id = NULL, address = NULL",
        "UPDATE audit SET created_at = created_at",
        "UPDATE audit SET data = '{}'",
        "UPDATE audit SET address = '203.0.113.5'",
        "DELETE FROM audit",
    ],
)
def test_the_database_itself_refuses_to_change_the_log(app: Flask, as_user: AsUser, change: str) -> None:
    member = as_user()
    before = log(member)
    with pytest.raises(DBAPIError, match="append-only"):
        do(app, text(change))
    assert log(member) == before


def test_every_column_is_kept_but_the_address(app: Flask, as_user: AsUser) -> None:
    as_user()
    for column in AuditRecord.__table__.columns:
        if column.name != "address":
            with pytest.raises(DBAPIError, match="append-only"):
                do(app, text(f"UPDATE audit SET {column.name} = {column.name}"))


def test_what_is_older_than_the_setting_is_purged_and_nothing_else(
    app: Flask, as_user: AsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = as_user("admin")
    now = clock.now()
    for age in (399, 401, 500):
        with monkeypatch.context() as patch, app.app_context():
            patch.setattr(clock, "now", lambda age=age: now - timedelta(days=age))
            unit_of_work(lambda: service.record("session.failed"))
    assert len(log(admin, action="session.failed")) == 3
    with app.app_context():
        assert unit_of_work(service.purge) == 2
        assert unit_of_work(service.purge) == 0
    (kept,) = log(admin, action="session.failed")
    assert kept["created_at"][:10] == f"{now - timedelta(days=399):%Y-%m-%d}"
    with pytest.raises(DBAPIError, match="append-only"):
        do(app, delete(AuditRecord).where(AuditRecord.id == kept["id"]))


def test_the_days_are_those_of_the_setting(app: Flask, as_user: AsUser, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = as_user("admin")
    monkeypatch.setitem(app.config, "AUDIT_DAYS", 1)
    old = clock.now() - timedelta(days=2)
    with monkeypatch.context() as patch, app.app_context():
        patch.setattr(clock, "now", lambda: old)
        unit_of_work(lambda: service.record("session.failed"))
    with app.app_context():
        assert unit_of_work(service.purge) == 1
    assert log(admin, action="session.failed") == []


@pytest.mark.parametrize("by", ["member", "admin"])
def test_of_a_deleted_member_the_acts_stay_and_the_addresses_go(app: Flask, as_user: AsUser, by: str) -> None:
    admin, member = as_user("admin"), as_user()
    for password in (PASSWORD, "Wrong-password-1"):
        new_client(app).post("/auth/login", json={"email": member.email, "password": password})
    admin.patch(f"/api/v1/users/{member.user_id}", json={"role": "moderator"})
    assert (member if by == "member" else admin).delete(f"/api/v1/users/{member.user_id}").status_code == 204
    own = log(admin)[0]
    about = [record for record in log(admin) if record["subject"] != own["subject"]]
    from_where = {(record["action"], record["actor_id"] == admin.user_id, record["address"]) for record in about}
    by_admin, address = by == "admin", "127.0.0.1" if by == "admin" else None
    assert from_where == {
        ("session.created", False, None),
        ("session.failed", False, None),
        ("user.role_changed", True, "127.0.0.1"),
        ("session.ended", by_admin, address),
        ("user.deleted", by_admin, address),
    }


def test_nothing_in_the_log_is_an_address_or_a_secret(app: Flask, client: CheckedClient, as_user: AsUser) -> None:
    admin, member = as_user("admin"), as_user()
    for email in (member.email, "typed@example.com"):
        client.post("/auth/login", json={"email": email, "password": "Typed-password-1"})
    admin.patch(f"/api/v1/users/{member.user_id}", json={"role": "moderator", "email": "new@example.com"})
    with app.app_context():
        rows = str(db.session.execute(select(AuditRecord.__table__)).all())
    assert not any(word in rows for word in ("@", "password", "Bearer"))


def test_the_document_lists_the_acts(client: CheckedClient) -> None:
    parameters = client.get("/openapi.json").get_json()["paths"][URL]["get"]["parameters"]
    (action,) = [parameter for parameter in parameters if parameter["name"] == "action"]
    assert action["schema"]["enum"] == list(ACTIONS)
