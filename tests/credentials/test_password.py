"""A member's own password is changed at /auth/password."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.users.models import User
from app.users.service import hash_new_password
from tests.client import CheckedClient
from tests.conftest import PASSWORD, Again, AsUser, new_client, use_token
from tests.credentials.conftest import NEW, text_of, told
from tests.notifications.smtp import Inbox

Work = Callable[[], None]


def change(client: CheckedClient, current: str = PASSWORD, new: str = NEW) -> Any:
    return client.put("/auth/password", json={"current_password": current, "new_password": new})


def sign_in(client: CheckedClient, email: str, password: str) -> Any:
    return client.post("/auth/login", json={"email": email, "password": password})


def test_a_new_password_signs_in_and_the_old_one_does_not(client: CheckedClient, member: CheckedClient) -> None:
    answer = change(member)
    assert (answer.status_code, answer.data) == (204, b"")
    assert sign_in(client, member.email, PASSWORD).status_code == 401
    assert sign_in(client, member.email, NEW).status_code == 200


def test_all_other_sessions_end_at_once_and_the_own_goes_on(app: Flask, member: CheckedClient, as_user: AsUser) -> None:
    other, stranger = new_client(app), as_user()
    tokens = sign_in(other, member.email, PASSWORD).get_json()
    use_token(other, tokens["access_token"])
    assert other.get("/auth/me").status_code == 200
    assert change(member).status_code == 204
    assert other.get("/auth/me").status_code == 401
    use_token(other, tokens["refresh_token"])
    assert other.post("/auth/refresh").status_code == 401
    assert member.get("/auth/me").status_code == stranger.get("/auth/me").status_code == 200


def test_the_owner_is_told_by_mail_whatever_notify_by_email_says(
    inbox: Inbox, member: CheckedClient, work: Work
) -> None:
    assert member.patch(f"/api/v1/users/{member.user_id}", json={"notify_by_email": False}).status_code == 200
    change(member)
    work()
    work()
    assert told(inbox) == [("Mia@example.com", "Your password was changed")]
    assert text_of(inbox).startswith("Hello Mia Member,\n\nThe password of your account has been changed")
    assert "token" not in text_of(inbox)


def test_a_wrong_current_password_changes_nothing(
    inbox: Inbox, member: CheckedClient, again: Again, work: Work
) -> None:
    answer = change(member, current="Wrong-horse-1")
    assert (answer.status_code, answer.get_json()["code"]) == (403, "invalid_credentials")
    work()
    assert (again(member).get("/auth/me").status_code, told(inbox)) == (200, [])
    assert change(member).status_code == 204


@pytest.mark.parametrize(
    ("new", "why"),
    [
        ("Short-1", "8 to 128"),
        ("no-upper-case-1", "upper-case"),
        ("Password1", "most used"),
        ("Member-1997", "besides"),
    ],
)
def test_a_new_password_follows_the_policy_of_sign_up(member: CheckedClient, new: str, why: str) -> None:
    answer = change(member, new=new)
    assert answer.status_code == 400
    assert why in " ".join(answer.get_json()["errors"]["new_password"])


def test_who_has_not_signed_in_changes_no_password(client: CheckedClient) -> None:
    assert change(client).status_code == 401


def test_of_two_changes_that_have_checked_the_same_password_the_second_is_refused(
    app: Flask, client: CheckedClient, member: CheckedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hash_and_be_late(*args: Any, **kwargs: Any) -> str:
        with app.app_context():
            other = update(User).where(User.id == member.user_id).values(password_hash="of another request")
            unit_of_work(lambda: db.session.execute(other))
        return hash_new_password(*args, **kwargs)

    monkeypatch.setattr("app.credentials.service.hash_new_password", hash_and_be_late)
    answer = change(member)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "invalid_credentials")
    assert sign_in(client, member.email, NEW).status_code == 401
