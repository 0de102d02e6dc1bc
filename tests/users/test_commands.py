"""What an operator does to accounts by commands: by the same rules as the API."""

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from app import cli
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser

NEW_PASSWORD = "Another-horse-2"


def signs_in(client: CheckedClient, email: str, password: str = PASSWORD) -> bool:
    return bool(client.post("/auth/login", json={"email": email, "password": password}).status_code == 200)


def test_a_password_that_an_operator_sets_ends_all_sessions_and_signs_in(
    app: Flask, client: CheckedClient, runner: FlaskCliRunner, as_user: AsUser
) -> None:
    member = as_user()
    done = runner.invoke(args=["set-password", member.email.upper(), "--password", "-"], input=f"{NEW_PASSWORD}\n")
    assert done.exit_code == 0, done.output
    assert NEW_PASSWORD not in done.output
    assert member.get("/auth/me").status_code == 401
    assert not signs_in(client, member.email)
    assert signs_in(client, member.email, NEW_PASSWORD)


def test_a_password_that_the_policy_refuses_is_not_set(
    client: CheckedClient, runner: FlaskCliRunner, as_user: AsUser
) -> None:
    member = as_user()
    done = runner.invoke(args=["set-password", member.email, "--password", "short"])
    assert done.exit_code == 1
    assert "password: " in done.output
    assert signs_in(client, member.email)


def test_a_role_that_is_set_counts_at_once_and_the_last_admin_stays_one(
    runner: FlaskCliRunner, as_user: AsUser
) -> None:
    admin, member = as_user("admin"), as_user()
    assert runner.invoke(args=["set-role", member.email, "treasurer"]).exit_code == 0
    assert member.get("/auth/me").get_json()["role"] == "treasurer"
    refused = runner.invoke(args=["set-role", admin.email, "member"])
    assert refused.exit_code == 1
    assert "last active admin" in refused.output
    assert admin.get("/auth/me").get_json()["role"] == "admin"
    acts = admin.get("/api/v1/audit?action=user.role_changed").get_json()["audit"]
    assert [(act["actor_id"], act["subject"]["id"]) for act in acts] == [(None, member.user_id)]


def test_a_member_who_is_disabled_is_signed_out_for_good(
    client: CheckedClient, runner: FlaskCliRunner, as_user: AsUser
) -> None:
    member = as_user()
    assert runner.invoke(args=["disable", member.email]).exit_code == 0
    assert member.get("/auth/me").status_code == 401
    assert not signs_in(client, member.email)
    assert runner.invoke(args=["enable", member.email]).exit_code == 0
    assert member.get("/auth/me").status_code == 401
    assert signs_in(client, member.email)


def test_all_accounts_are_listed_the_disabled_ones_too(
    runner: FlaskCliRunner, as_user: AsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "BATCH_SIZE", 1)
    admin, member = as_user("admin", name="Ada"), as_user(name="Bo")
    assert runner.invoke(args=["disable", member.email]).exit_code == 0
    lines = [line.split("\t") for line in runner.invoke(args=["list-users"]).output.splitlines()]
    assert lines == [
        [str(admin.user_id), "admin", "active", admin.email, "Ada"],
        [str(member.user_id), "member", "disabled", member.email, "Bo"],
    ]


def test_an_unknown_address_is_refused_with_what_to_do_next(runner: FlaskCliRunner, app: Flask) -> None:
    done = runner.invoke(args=["disable", "nobody@example.com"])
    assert done.exit_code == 1
    assert "flask list-users" in done.output
