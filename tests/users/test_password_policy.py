"""The policy for passwords: one, wherever a password is set."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from app import create_app
from app.core.rest import openapi
from tests.client import CheckedClient
from tests.conftest import PASSWORD, production_settings

URL = "/api/v1/users"
PERSON = {"name": "Wilhelmina Harker", "email": "mina.murray@whitby.example"}


@pytest.fixture
def nist(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "PASSWORD_POLICY", "nist")


def refusal(client: CheckedClient, password: str) -> str:
    """Return why a sign-up with ``password`` is refused; nothing if it is not."""
    answer = client.post(URL, json=PERSON | {"password": password})
    if answer.status_code == 201:
        return ""
    assert (answer.status_code, answer.get_json()["code"]) == (400, "validation_failed")
    return " ".join(answer.get_json()["errors"]["password"])


@pytest.mark.parametrize(
    "password",
    [
        "Wilhelmina-1",
        "Wilhelmina-Harker-1897",
        "1897WILHELMINAharker",
        "Mina.Murray.1897",
        "Whitby-2026",
        "Murray1murraY",
    ],
)
def test_a_password_that_is_little_more_than_name_or_address_is_refused(client: CheckedClient, password: str) -> None:
    assert "besides words of your name and address" in refusal(client, password)


@pytest.mark.parametrize("password", ["Dracula-and-Harker-1897", "Harker1, no: Correct-horse", PASSWORD])
def test_a_word_of_the_name_in_a_password_that_is_long_enough_without_it_is_taken(
    client: CheckedClient, password: str
) -> None:
    assert refusal(client, password) == ""


@pytest.mark.usefixtures("nist")
@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("Fourteen-chars", "15 to 128 characters"),
        (PASSWORD[:14], "15 to 128 characters"),
        ("qwertyuiop12345", "most used"),
        ("PASSWORDstandard", "most used"),
        ("passwordpassword", "repeat itself"),
        ("aaaaaaaaaaaaaaaa", "repeat itself"),
        ("123456789012345", "repeat itself"),
        ("abcdefghijklmnop", "sequence"),
        ("wilhelmina harker 1897", "besides words of your name"),
    ],
)
def test_the_policy_of_nist_asks_for_length_and_for_what_nobody_expects(
    client: CheckedClient, password: str, why: str
) -> None:
    assert why in refusal(client, password)


@pytest.mark.usefixtures("nist")
@pytest.mark.parametrize("password", ["four words without digits", "correct horse battery", "ünïcode 🍋 and blanks"])
def test_the_policy_of_nist_asks_for_no_kinds_of_characters(client: CheckedClient, password: str) -> None:
    assert refusal(client, password) == ""


@pytest.mark.parametrize(("name", "least"), [("default", 8), ("nist", 15)])
def test_the_document_says_which_policy_is_in_force(
    app: Flask, monkeypatch: pytest.MonkeyPatch, name: str, least: int
) -> None:
    monkeypatch.setitem(app.config, "PASSWORD_POLICY", name)
    with app.test_request_context():
        schemas = openapi.document(app)["components"]["schemas"]
    described: dict[str, Any] = schemas["SignUpInput"]["properties"]["password"]
    assert (described["minLength"], described["maxLength"], described["type"]) == (least, 128, "string")
    assert ("upper-case" in described["description"]) is (name == "default")


@pytest.mark.parametrize("password", ["Wilhelmina-1", "short", "Password1"])
def test_a_command_that_makes_an_account_asks_for_the_same(runner: FlaskCliRunner, password: str) -> None:
    sent = ["create-user", PERSON["email"], "--name", PERSON["name"], "--role", "member", "--password", password]
    refused = runner.invoke(args=sent)
    assert refused.exit_code == 1
    assert "password: " in refused.output
    assert runner.invoke(args=[*sent[:-1], PASSWORD]).exit_code == 0


def test_an_unknown_policy_keeps_the_service_from_starting(database_url: str) -> None:
    with pytest.raises(RuntimeError, match="PASSWORD_POLICY must be one of default, nist"):
        create_app("production", production_settings(database_url) | {"PASSWORD_POLICY": "none"})
