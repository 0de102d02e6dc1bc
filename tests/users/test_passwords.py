"""Passwords: which ones are taken, and how they are kept."""

from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask

from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.users.models import User
from app.users.passwords import hash_password, verify_password
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser

URL = "/api/v1/users"


def sign_up(client: CheckedClient, password: Any) -> Any:
    return client.post(URL, json={"email": "ada@example.com", "name": "Ada", "password": password})


def hash_of(app: Flask, user_id: int) -> str:
    with app.app_context():
        return str(db.session.get_one(User, user_id).password_hash)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("Short-1", "8 to 128"),
        ("X1" + "x" * 127, "8 to 128"),
        ("", "blank"),
        ("        ", "blank"),
        ("No-digit-here", "digit"),
        ("no-upper-case-1", "upper-case"),
        ("Password1", "most used"),
        ("PASSWORD1", "most used"),
        ("pASSWORD123", "most used"),
        ("Qwerty123", "most used"),
        (12345678, "text"),
        (None, "null"),
        (["Correct-horse-1"], "text"),
    ],
)
def test_a_password_that_is_too_easy_is_refused_with_the_reason(
    client: CheckedClient, password: object, why: str
) -> None:
    answer = sign_up(client, password)
    assert answer.status_code == 400
    assert why in " ".join(answer.get_json()["errors"]["password"])
    assert str(password) not in answer.text or not password
    assert client.get(URL).get_json()["total"] == 0


def test_all_reasons_are_told_at_once(client: CheckedClient) -> None:
    assert len(sign_up(client, "nothing-of-it").get_json()["errors"]["password"]) == 2


@pytest.mark.parametrize(
    "password", ["Seven-1x", "X1" + "x" * 126, "Ä1" + "🍋" * 126, "  Blanks count 1  ", "Pass word-Ünïcode-9"]
)
def test_a_good_password_of_any_characters_signs_in_as_it_was_sent(client: CheckedClient, password: str) -> None:
    assert sign_up(client, password).status_code == 201
    for sent, status in ((password, 200), (password.swapcase(), 401), (password[:-1], 401), (f"{password[:-1]}?", 401)):
        assert client.post("/auth/login", json={"email": "ada@example.com", "password": sent}).status_code == status


def test_a_password_is_kept_as_a_salted_argon2id_hash_and_shown_nowhere(app: Flask, client: CheckedClient) -> None:
    made = sign_up(client, PASSWORD)
    other = client.post(URL, json={"email": "ben@example.com", "name": "Ben", "password": PASSWORD})
    kept = hash_of(app, made.get_json()["id"])
    assert kept.startswith("$argon2id$")
    assert PASSWORD not in kept
    assert kept != hash_of(app, other.get_json()["id"])
    login = client.post("/auth/login", json={"email": "ada@example.com", "password": PASSWORD})
    for answer in (made, login, client.get(URL)):
        assert PASSWORD not in answer.text
        assert "argon2" not in answer.text
        assert "password" not in answer.text


def test_production_hashes_with_the_strength_that_owasp_asks_for(production: Flask) -> None:
    with production.app_context():
        kept = hash_password(PASSWORD)
        assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert verify_password(kept, PASSWORD)
        assert not verify_password(kept, PASSWORD.lower())


def test_without_a_hash_or_with_a_broken_one_no_password_is_right(app: Flask) -> None:
    with app.app_context():
        assert not verify_password(None, "")
        assert not verify_password(None, PASSWORD)
        assert not verify_password("", PASSWORD)
        assert not verify_password("plain text", "plain text")


def test_a_hash_of_other_strength_is_renewed_when_its_owner_signs_in(
    app: Flask, client: CheckedClient, as_user: AsUser
) -> None:
    member = as_user()
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    with app.app_context():
        unit_of_work(lambda: setattr(db.session.get(User, member.user_id), "password_hash", old))
    wrong = {"email": member.email, "password": "Wrong-horse-1"}
    assert client.post("/auth/login", json=wrong).status_code == 401
    assert hash_of(app, member.user_id) == old
    for _ in range(2):
        assert client.post("/auth/login", json=wrong | {"password": PASSWORD}).status_code == 200
    renewed = hash_of(app, member.user_id)
    assert "m=8,t=1,p=1" in renewed
    assert client.post("/auth/login", json=wrong | {"password": PASSWORD}).status_code == 200
    assert hash_of(app, member.user_id) == renewed
