"""A forgotten password is set anew by the link of a mail."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.core import clock
from app.core.background import outbox
from app.core.background.outbox import StoredEvent
from app.core.db.base import Base
from app.extensions import db
from app.users import passwords
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser, Counter, new_client
from tests.credentials.conftest import NEW, text_of, token_in, told
from tests.notifications.smtp import Inbox

Work = Callable[[], None]

pytestmark = pytest.mark.usefixtures("inbox")


def forgot(client: CheckedClient, email: str) -> Any:
    return client.post("/auth/password/forgot", json={"email": email})


def reset(client: CheckedClient, token: str, password: str = NEW) -> Any:
    return client.post("/auth/password/reset", json={"token": token, "password": password})


def is_invalid(answer: Any) -> bool:
    return (answer.status_code, answer.get_json()["code"]) == (400, "invalid_token")


@pytest.fixture
def token(client: CheckedClient, member: CheckedClient, inbox: Inbox, work: Work) -> str:
    """The token that the member was sent."""
    assert forgot(client, "mia@EXAMPLE.com").status_code == 202
    work()
    return token_in(inbox, "reset-password")


def test_the_link_of_the_mail_sets_a_new_password_once(
    client: CheckedClient, member: CheckedClient, inbox: Inbox, work: Work, token: str
) -> None:
    assert told(inbox) == [("Mia@example.com", "Set a new password")]
    answer = reset(client, token)
    assert (answer.status_code, answer.data) == (204, b"")
    assert is_invalid(reset(client, token, "Third-password-3"))
    for password, status in ((PASSWORD, 401), (NEW, 200)):
        sent = {"email": member.email, "password": password}
        assert client.post("/auth/login", json=sent).status_code == status
    work()
    assert told(inbox)[1:] == [("Mia@example.com", "Your password was changed")]


def test_a_reset_ends_all_sessions_and_begins_none(
    client: CheckedClient, member: CheckedClient, as_user: AsUser, token: str
) -> None:
    stranger = as_user()
    assert member.get("/auth/me").status_code == 200
    answer = reset(client, token)
    assert "Set-Cookie" not in answer.headers
    assert (member.get("/auth/me").status_code, stranger.get("/auth/me").status_code) == (401, 200)


def test_the_newest_request_alone_has_a_token_that_works(
    client: CheckedClient, inbox: Inbox, work: Work, token: str
) -> None:
    forgot(client, "Mia@example.com")
    work()
    newest = token_in(inbox, "reset-password")
    assert is_invalid(reset(client, token))
    assert reset(client, newest).status_code == 204


def test_of_requests_that_come_before_the_mail_is_sent_the_newest_alone_is_answered(
    client: CheckedClient, member: CheckedClient, inbox: Inbox, app: Flask, work: Work
) -> None:
    for _ in range(3):
        forgot(client, member.email)
    with app.app_context():
        outbox.deliver_all()
    work()
    assert len(told(inbox)) == 1
    assert reset(client, token_in(inbox, "reset-password")).status_code == 204


@pytest.mark.parametrize(("minutes", "status"), [(59, 204), (61, 400)])
def test_a_token_works_for_an_hour(
    client: CheckedClient, monkeypatch: pytest.MonkeyPatch, token: str, minutes: int, status: int
) -> None:
    later = clock.now() + timedelta(minutes=minutes)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert reset(client, token).status_code == status


def test_what_is_no_token_of_ours_is_refused_alike(client: CheckedClient, member: CheckedClient, token: str) -> None:
    head, body, signature = token.split(".")
    access = member.environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    forged = (f"{head}.{body}.{signature[:-4]}AAAA", f"{head}.{body}.", f"{head}.e30.{signature}", token + "x")
    answers = [reset(client, sent) for sent in (*forged, access, "x", "a.b.c", "ü", "x" * 2000)]
    assert {(a.status_code, a.get_json()["code"], a.get_json()["message"]) for a in answers} == {
        (400, "invalid_token", "This link is not valid, or not any more. Ask for a new one.")
    }
    assert reset(client, token).status_code == 204


def test_a_token_to_verify_an_address_resets_no_password_and_the_other_way_round(
    client: CheckedClient, member: CheckedClient, inbox: Inbox, work: Work, token: str
) -> None:
    member.post("/auth/email/verification")
    work()
    verifying = token_in(inbox, "verify-email")
    assert is_invalid(reset(client, verifying))
    assert is_invalid(client.post("/auth/email/verify", json={"token": token}))
    assert client.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert client.post("/auth/email/verify", json={"token": verifying}).status_code == 204
    assert reset(client, token).status_code == 204


def test_a_refused_password_does_not_spend_the_token(client: CheckedClient, token: str) -> None:
    for refused, why in (("weak", "8 to 128"), ("Member-1997", "besides")):
        answer = reset(client, token, refused)
        assert answer.status_code == 400
        assert why in " ".join(answer.get_json()["errors"]["password"])
    assert reset(client, token).status_code == 204


def test_two_requests_with_one_token_at_once_set_one_password(app: Flask, token: str) -> None:
    answers: list[tuple[str, int]] = []
    start = threading.Barrier(4)

    def send(password: str) -> None:
        start.wait()
        answers.append((password, reset(new_client(app), token, password).status_code))

    threads = [threading.Thread(target=send, args=(f"Password-no-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for _, status in answers) == [204, 400, 400, 400]
    (password,) = (password for password, status in answers if status == 204)
    sent = {"email": "Mia@example.com", "password": password}
    assert new_client(app).post("/auth/login", json=sent).status_code == 200


def test_an_unknown_address_is_answered_alike_after_the_same_work(
    client: CheckedClient,
    member: CheckedClient,
    inbox: Inbox,
    count_queries: Counter,
    monkeypatch: pytest.MonkeyPatch,
    work: Work,
) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(passwords, "hash_password", hashed.append)
    monkeypatch.setattr(passwords, "verify_password", hashed.append)
    seen = []
    for email in (member.email, "nobody@example.com"):
        with count_queries() as statements:
            answer = forgot(client, email)
        headers = {name for name, _ in answer.headers}
        seen.append((answer.status_code, answer.data, headers, list(statements)))
    assert seen[0] == seen[1]
    assert seen[0][:2] == (202, b"")
    assert len(seen[0][3]) == 1
    assert hashed == []
    work()
    assert [to for to, _ in told(inbox)] == [member.email]


def test_who_is_disabled_or_has_another_address_by_now_can_use_no_token(
    client: CheckedClient, member: CheckedClient, as_user: AsUser, inbox: Inbox, work: Work, token: str
) -> None:
    admin, url = as_user("admin"), f"/api/v1/users/{member.user_id}"
    assert admin.patch(url, json={"is_active": False}).status_code == 200
    assert is_invalid(reset(client, token))
    forgot(client, member.email)
    work()
    assert [subject for _, subject in told(inbox)].count("Set a new password") == 1
    assert admin.patch(url, json={"is_active": True, "email": "new@example.com"}).status_code == 200
    assert is_invalid(reset(client, token))


def test_a_changed_password_makes_the_links_void_that_were_asked_for_before(
    client: CheckedClient, member: CheckedClient, token: str
) -> None:
    sent = {"current_password": PASSWORD, "new_password": NEW}
    assert member.put("/auth/password", json=sent).status_code == 204
    assert is_invalid(reset(client, token))


def test_no_row_and_no_line_of_the_log_holds_a_token(
    app: Flask, client: CheckedClient, member: CheckedClient, inbox: Inbox, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", "app"):
        forgot(client, member.email)
        member.post("/auth/email/verification")
        stored = everything(app)
        with app.app_context():
            outbox.deliver_all()
        stored += everything(app)
        work()
        stored += everything(app)
        tokens = [token_in(inbox, page, number=n) for n, page in enumerate(("verify-email", "reset-password"))]
        reset(client, tokens[1])
        client.post("/auth/email/verify", json={"token": tokens[0]})
    for token in tokens:
        assert token.rpartition(".")[2] not in stored + everything(app) + caplog.text


def everything(app: Flask) -> str:
    with app.app_context():
        rows = [list(db.session.execute(select(table))) for table in Base.metadata.sorted_tables]
        return f"{rows} {StoredEvent.__tablename__}"


def test_what_was_mailed_is_forgotten_with_the_member(
    app: Flask, client: CheckedClient, member: CheckedClient, work: Work, token: str
) -> None:
    url = f"/api/v1/users/{member.user_id}"
    sent = {"email": "second@example.com", "current_password": PASSWORD}
    assert member.patch(url, json=sent).status_code == 200
    assert member.put("/auth/password", json={"current_password": PASSWORD, "new_password": NEW}).status_code == 204
    with app.app_context():
        outbox.deliver_all()
    assert member.patch(url, json={"email": "third@example.com", "current_password": NEW}).status_code == 200
    assert member.delete(url).status_code == 204
    work()
    assert is_invalid(reset(client, token))
    assert not any(address in everything(app) for address in ("Mia@example", "second@example", "third@example"))


def test_a_name_is_text_in_a_mail_and_nothing_else(
    client: CheckedClient, as_user: AsUser, inbox: Inbox, work: Work
) -> None:
    evil = as_user(name="x\r\nBcc: all@example.com <b>")
    forgot(client, evil.email)
    work()
    assert text_of(inbox).startswith("Hello x Bcc: all@example.com <b>,\n\n")
    assert inbox.mails[0]["Bcc"] is None


@pytest.mark.parametrize("body", [{}, {"email": "no address"}, {"email": 5}, {"email": "a@example.com", "x": 1}])
def test_what_is_no_address_is_refused(client: CheckedClient, body: dict[str, Any]) -> None:
    assert client.post("/auth/password/forgot", json=body).status_code == 400
