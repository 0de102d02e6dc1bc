"""An address is verified by the link of a mail, and verified anew when it changes."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app.core import clock
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser, use_token
from tests.credentials.conftest import text_of, token_in, told
from tests.notifications.smtp import Inbox

Work = Callable[[], None]

VERIFY = "Verify your e-mail address"


def verify(client: CheckedClient, token: str) -> Any:
    return client.post("/auth/email/verify", json={"token": token})


def is_verified(member: CheckedClient) -> bool:
    return bool(member.get("/auth/me").get_json()["email_verified"])


def change_address(member: CheckedClient, email: str) -> None:
    sent = {"email": email, "current_password": PASSWORD}
    assert member.patch(f"/api/v1/users/{member.user_id}", json=sent).status_code == 200


def test_who_signs_up_is_sent_a_link_that_verifies_the_address(client: CheckedClient, inbox: Inbox, work: Work) -> None:
    person = {"email": "ada@example.com", "name": "Ada", "password": PASSWORD}
    assert client.post("/api/v1/users?dry_run=true", json=person).status_code == 201
    work()
    assert told(inbox) == []
    assert client.post("/api/v1/users", json=person).get_json()["email_verified"] is False
    work()
    assert told(inbox) == [("ada@example.com", VERIFY)]
    answer = verify(client, token_in(inbox, "verify-email"))
    assert (answer.status_code, answer.data) == (204, b"")
    signed_in = client.post("/auth/login", json={"email": person["email"], "password": PASSWORD}).get_json()
    assert signed_in["user"]["email_verified"] is True


def test_a_link_is_sent_on_request_to_the_present_address_until_it_is_verified(
    client: CheckedClient, member: CheckedClient, inbox: Inbox, work: Work
) -> None:
    for sent in (1, 2, 2):
        answer = member.post("/auth/email/verification")
        assert (answer.status_code, answer.data) == (202, b"")
        work()
        assert told(inbox) == [("Mia@example.com", VERIFY)] * sent
        if sent == 2:
            verify(client, token_in(inbox, "verify-email", number=1))
            assert is_verified(member)


def test_a_token_works_once_and_the_newest_alone(
    client: CheckedClient, member: CheckedClient, inbox: Inbox, work: Work
) -> None:
    for _ in range(2):
        member.post("/auth/email/verification")
        work()
    old, new = (token_in(inbox, "verify-email", number=number) for number in (0, 1))
    assert [verify(client, token).status_code for token in (old, new, new)] == [400, 204, 400]
    assert verify(client, old).get_json()["code"] == "invalid_token"


@pytest.mark.parametrize(("hours", "status"), [(23, 204), (25, 400)])
def test_a_token_works_for_a_day(
    client: CheckedClient,
    member: CheckedClient,
    inbox: Inbox,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
    hours: int,
    status: int,
) -> None:
    member.post("/auth/email/verification")
    work()
    later = clock.now() + timedelta(hours=hours)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert verify(client, token_in(inbox, "verify-email")).status_code == status


def test_a_changed_address_is_unverified_and_the_old_one_is_told(
    client: CheckedClient, member: CheckedClient, inbox: Inbox, work: Work
) -> None:
    member.post("/auth/email/verification")
    work()
    of_old_address = token_in(inbox, "verify-email")
    change_address(member, "new@example.com")
    assert not is_verified(member)
    work()
    assert told(inbox)[1:] == [("Mia@example.com", "Your e-mail address was changed"), ("new@example.com", VERIFY)]
    assert "new@example.com" not in text_of(inbox, 1)
    assert verify(client, of_old_address).status_code == 400
    assert verify(client, token_in(inbox, "verify-email")).status_code == 204
    assert is_verified(member)
    change_address(member, "third@example.com")
    assert not is_verified(member)


def test_the_owner_is_told_of_an_address_that_an_admin_has_changed(
    member: CheckedClient, as_user: AsUser, inbox: Inbox, work: Work
) -> None:
    answer = as_user("admin").patch(f"/api/v1/users/{member.user_id}", json={"email": "new@example.com"})
    assert (answer.status_code, answer.get_json()["email_verified"]) == (200, False)
    work()
    assert [to for to, _ in told(inbox)] == ["Mia@example.com", "new@example.com"]


def test_what_leaves_the_address_as_it_is_sends_no_mail(member: CheckedClient, inbox: Inbox, work: Work) -> None:
    for sent in ({"email": member.email, "current_password": PASSWORD}, {"name": "Mia"}):
        assert member.patch(f"/api/v1/users/{member.user_id}", json=sent).status_code == 200
    change = f"/api/v1/users/{member.user_id}?dry_run=true"
    sent = {"email": "new@example.com", "current_password": PASSWORD}
    assert member.patch(change, json=sent).status_code == 200
    work()
    assert told(inbox) == []


def test_who_has_not_signed_in_asks_for_no_link(client: CheckedClient) -> None:
    assert client.post("/auth/email/verification").status_code == 401
    use_token(client, "x")
    assert client.post("/auth/email/verification").status_code == 401
