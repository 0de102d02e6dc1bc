"""What is recorded: every act of its list, with who did it to whom, and nothing that did not happen."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from flask import Flask

from app.audit.models import ACTIONS
from app.core import clock
from app.core.unit_of_work import unit_of_work
from app.credentials.models import RESET
from app.wallet import service as wallet
from tests.audit.conftest import POST, PRODUCT, Json, acts, log
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser, use_token
from tests.credentials.conftest import mailed_token
from tests.wallet.test_wallet import fund

ID = "an-id-of-ours"
FROM = {"REMOTE_ADDR": "2001:db8::7"}
SENT = {"headers": {"X-Request-ID": ID}, "environ_overrides": FROM}


@dataclass
class Stage:
    """An admin, who acts, a member, to whom it is done, and somebody who is not signed in."""

    admin: CheckedClient
    member: CheckedClient
    anyone: CheckedClient
    monkeypatch: pytest.MonkeyPatch

    @property
    def url(self) -> str:
        """The member."""
        return f"/api/v1/users/{self.member.user_id}"


Subject = tuple[str, int] | None
# What somebody does: returns the actor, the subject and the data that are recorded of it.
Act = Callable[[Stage], tuple[int | None, Subject, Json]]


@pytest.fixture
def stage(client: CheckedClient, as_user: AsUser, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(as_user("admin"), as_user(), client, monkeypatch)


def sign_in(client: CheckedClient, email: str, password: str = PASSWORD) -> tuple[int, Json]:
    answer = client.post("/auth/login", json={"email": email, "password": password}, **SENT)
    return answer.status_code, answer.get_json()


def newest_session(member: CheckedClient) -> tuple[str, int]:
    return "session", member.get("/auth/sessions").get_json()["sessions"][0]["id"]


def signs_in(stage: Stage) -> tuple[int | None, Subject, Json]:
    assert sign_in(stage.anyone, stage.member.email)[0] == 200
    return stage.member.user_id, newest_session(stage.member), {}


def fails_to_sign_in(stage: Stage) -> tuple[int | None, Subject, Json]:
    assert sign_in(stage.anyone, stage.member.email, "Wrong-password-1")[0] == 401
    return None, ("user", stage.member.user_id), {}


def signs_out(stage: Stage) -> tuple[int | None, Subject, Json]:
    use_token(stage.anyone, sign_in(stage.anyone, stage.member.email)[1]["access_token"])
    ended = newest_session(stage.member)
    assert stage.anyone.post("/auth/logout", **SENT).status_code == 200
    return stage.member.user_id, ended, {}


def spends_a_token_again(stage: Stage) -> tuple[int | None, Subject, Json]:
    use_token(stage.anyone, sign_in(stage.anyone, stage.member.email)[1]["refresh_token"])
    session = newest_session(stage.member)
    assert stage.anyone.post("/auth/refresh").status_code == 200
    later = clock.now() + timedelta(minutes=1)
    stage.monkeypatch.setattr(clock, "now", lambda: later)
    assert stage.anyone.post("/auth/refresh", **SENT).status_code == 401
    return None, session, {}


def changes(stage: Stage, **change: object) -> tuple[int | None, Subject, Json]:
    assert stage.admin.patch(stage.url, json=change, **SENT).status_code == 200
    return stage.admin.user_id, ("user", stage.member.user_id), {}


def changes_a_password(stage: Stage) -> tuple[int | None, Subject, Json]:
    sent = {"current_password": PASSWORD, "new_password": "Another-staple-2"}
    assert stage.member.put("/auth/password", json=sent, **SENT).status_code == 204
    return stage.member.user_id, ("user", stage.member.user_id), {}


def resets_a_password(stage: Stage) -> tuple[int | None, Subject, Json]:
    sent = {"token": mailed_token(stage.member, RESET), "password": "Another-staple-2"}
    assert stage.anyone.post("/auth/password/reset", json=sent, **SENT).status_code == 204
    return None, ("user", stage.member.user_id), {}


def changes_a_role(stage: Stage) -> tuple[int | None, Subject, Json]:
    return *changes(stage, role="treasurer")[:2], {"from": "member", "to": "treasurer"}


def enables(stage: Stage) -> tuple[int | None, Subject, Json]:
    changes(stage, is_active=False)
    return changes(stage, is_active=True)


def deletes(stage: Stage) -> tuple[int | None, Subject, Json]:
    assert stage.admin.delete(stage.url, **SENT).status_code == 204
    return stage.admin.user_id, ("user", stage.member.user_id), {}


def issues(stage: Stage, word: str) -> tuple[int | None, Subject, Json]:
    fund(stage.admin, stage.member, 9)
    body = {"user_id": stage.member.user_id, "amount": 5}
    made = stage.admin.post(f"/api/v1/{word}", json=body, **SENT).get_json()
    return stage.admin.user_id, ("transfer", made["id"]), {"amount": 5}


def reverses(stage: Stage) -> tuple[int | None, Subject, Json]:
    _, subject, _ = issues(stage, "deposits")
    assert subject is not None
    made = stage.admin.post(f"/api/v1/transfers/{subject[1]}/reversal", **SENT).get_json()
    return stage.admin.user_id, subject, {"reversal_id": made["id"], "amount": 5}


def hides(stage: Stage) -> tuple[int | None, Subject, Json]:
    post = stage.member.post("/api/v1/posts", json=POST).get_json()["id"]
    for _ in range(2):
        assert stage.admin.patch(f"/api/v1/posts/{post}", json={"is_hidden": True}, **SENT).status_code == 200
    return stage.admin.user_id, ("post", post), {}


def removes(stage: Stage, word: str, body: Json) -> tuple[int | None, Subject, Json]:
    ids = [stage.member.post(f"/api/v1/{word}s", json=body).get_json()["id"] for _ in range(2)]
    assert stage.member.delete(f"/api/v1/{word}s/{ids[0]}").status_code == 204  # one's own: nobody is interested
    assert stage.admin.delete(f"/api/v1/{word}s/{ids[1]}", **SENT).status_code == 204
    return stage.admin.user_id, (word, ids[1]), {}


RECORDED: dict[str, Act] = {
    "session.created": signs_in,
    "session.failed": fails_to_sign_in,
    "session.ended": signs_out,
    "token.reused": spends_a_token_again,
    "password.changed": changes_a_password,
    "password.reset": resets_a_password,
    "email.changed": lambda stage: changes(stage, email="new@example.com"),
    "user.role_changed": changes_a_role,
    "user.disabled": lambda stage: changes(stage, is_active=False),
    "user.enabled": enables,
    "user.deleted": deletes,
    "deposit.created": lambda stage: issues(stage, "deposits"),
    "withdrawal.created": lambda stage: issues(stage, "withdrawals"),
    "transfer.reversed": reverses,
    "post.hidden": hides,
    "post.deleted": lambda stage: removes(stage, "post", POST),
    "product.withdrawn": lambda stage: removes(stage, "product", PRODUCT),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_every_act_of_the_list_is_recorded(stage: Stage, action: str) -> None:
    actor_id, subject, data = RECORDED[action](stage)
    found = [record for record in log(stage.admin, action=action) if record["request_id"] == ID]
    newest = found[-1]
    assert newest.keys() == {"id", "action", "actor_id", "subject", "address", "request_id", "data", "created_at"}
    shown = newest["subject"] and tuple(newest["subject"].values())
    assert (newest["actor_id"], shown, newest["data"]) == (actor_id, subject, data)
    assert (newest["address"], newest["request_id"]) == ("2001:db8::7", ID)
    assert len([record for record in found if record["subject"] == newest["subject"]]) == 1


def test_nothing_is_known_of_a_sign_in_to_no_account(client: CheckedClient, as_user: AsUser) -> None:
    assert sign_in(client, "nobody@example.com")[0] == 401
    (failed,) = log(as_user("admin"), action="session.failed")
    assert (failed["actor_id"], failed["subject"], failed["data"]) == (None, None, {})


def test_a_disabled_member_who_tries_to_sign_in_is_known(stage: Stage) -> None:
    changes(stage, is_active=False)
    assert sign_in(stage.anyone, stage.member.email)[0] == 401
    (failed,) = log(stage.admin, action="session.failed")
    assert failed["subject"] == {"type": "user", "id": stage.member.user_id}


def test_a_reused_token_ends_its_session_and_both_are_recorded(stage: Stage) -> None:
    spends_a_token_again(stage)
    assert acts(stage.admin)[-2:] == ["token.reused", "session.ended"]


def test_each_session_that_is_ended_is_recorded(stage: Stage) -> None:
    for _ in range(3):
        sign_in(stage.anyone, stage.member.email)
    assert stage.member.delete("/auth/sessions").status_code == 204
    ended = log(stage.admin, action="session.ended")
    assert len({record["subject"]["id"] for record in ended}) == len(ended) == 3
    assert stage.member.delete("/auth/sessions").status_code == 204
    assert len(log(stage.admin, action="session.ended")) == 3


def test_what_did_not_happen_is_not_recorded(stage: Stage) -> None:
    before = len(log(stage.admin))
    for method, url, sent, status in (
        ("POST", "/api/v1/deposits?dry_run=true", {"user_id": 2, "amount": 5}, 201),
        ("POST", "/api/v1/withdrawals", {"user_id": 2, "amount": 5}, 409),
        ("POST", "/api/v1/deposits", {"user_id": 77, "amount": 5}, 404),
        ("PATCH", "/api/v1/users/1", {"role": "member"}, 409),
        ("PATCH", "/api/v1/users/2", {"role": "member", "is_active": True, "name": "Renamed"}, 200),
        ("DELETE", "/auth/sessions/1000", None, 404),
    ):
        assert stage.admin.open(url, method=method, json=sent).status_code == status
    assert stage.member.post("/api/v1/deposits", json={"user_id": 2, "amount": 5}).status_code == 403
    assert len(log(stage.admin)) == before


def test_a_repeat_with_its_key_is_recorded_once(stage: Stage) -> None:
    body = {"user_id": stage.member.user_id, "amount": 5}
    for _ in range(3):
        assert stage.admin.post("/api/v1/deposits", json=body, headers={"Idempotency-Key": "k"}).status_code == 201
    assert len(log(stage.admin, action="deposit.created")) == 1


def test_what_an_operator_does_has_no_actor(app: Flask, as_user: AsUser) -> None:
    admin = as_user("admin")
    with app.app_context():
        unit_of_work(lambda: wallet.deposit(user_id=admin.user_id, amount=5, memo="Welcome"))
    (deposit,) = log(admin, action="deposit.created")
    assert (deposit["actor_id"], deposit["address"], deposit["request_id"]) == (None, None, None)
