"""Refresh tokens: each is spent for the next one, and a stolen one is noticed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import jwt
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.core import clock
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser, new_client

Tokens = dict[str, Any]
Advance = Callable[[float], None]


@pytest.fixture
def advance(monkeypatch: pytest.MonkeyPatch) -> Advance:
    """Stop the clock, and return a function that moves it on by some seconds."""
    moment = clock.now()

    def move(seconds: float) -> None:
        nonlocal moment
        moment += timedelta(seconds=seconds)

    monkeypatch.setattr(clock, "now", lambda: moment)
    return move


@pytest.fixture
def tokens(client: CheckedClient, as_user: AsUser) -> Tokens:
    """Sign a member in."""
    signed_in = client.post("/auth/login", json={"email": as_user().email, "password": PASSWORD})
    fresh: Tokens = signed_in.get_json()
    return fresh


def refresh(client: CheckedClient, tokens: Tokens) -> TestResponse:
    return client.post("/auth/refresh", headers={"Authorization": f"Bearer {tokens['refresh_token']}"})


def token_id(tokens: Tokens) -> str:
    return str(jwt.decode(tokens["refresh_token"], options={"verify_signature": False})["jti"])


def is_signed_in(client: CheckedClient, tokens: Tokens) -> bool:
    status = client.get("/auth/me", headers={"Authorization": f"Bearer {tokens['access_token']}"}).status_code
    assert status in (200, 401)
    return status == 200


def test_a_refresh_gives_a_new_pair_and_the_old_access_token_lives_on(client: CheckedClient, tokens: Tokens) -> None:
    answer = refresh(client, tokens)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    renewed = answer.get_json()
    assert renewed.keys() == tokens.keys()
    assert (renewed["token_type"], renewed["expires_in"]) == ("Bearer", 3600)
    assert renewed["user"] == tokens["user"]
    assert renewed["refresh_token"] != tokens["refresh_token"]
    assert renewed["access_token"] != tokens["access_token"]
    assert is_signed_in(client, tokens)
    assert is_signed_in(client, renewed)
    assert refresh(client, renewed).status_code == 200


def test_a_spent_token_works_again_for_ten_seconds(client: CheckedClient, tokens: Tokens, advance: Advance) -> None:
    first = refresh(client, tokens).get_json()
    for seconds in (0, 5, 5):
        advance(seconds)
        again = refresh(client, tokens)
        assert again.status_code == 200
        assert is_signed_in(client, again.get_json())
    assert is_signed_in(client, first)


def test_a_token_spent_again_later_ends_the_whole_session_for_good(
    client: CheckedClient, tokens: Tokens, advance: Advance
) -> None:
    renewed = refresh(client, tokens).get_json()
    advance(10.001)
    answer = refresh(client, tokens)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.get_json()["code"] == "token_reused"
    assert not is_signed_in(client, tokens)
    assert not is_signed_in(client, renewed)
    assert refresh(client, renewed).status_code == 401
    assert refresh(client, tokens).status_code == 401


def test_a_repeat_within_ten_seconds_does_not_prolong_them(
    client: CheckedClient, tokens: Tokens, advance: Advance
) -> None:
    assert refresh(client, tokens).status_code == 200
    advance(6)
    assert refresh(client, tokens).status_code == 200
    advance(6)
    assert refresh(client, tokens).status_code == 401


def test_a_stolen_token_ends_only_the_session_it_belongs_to(
    client: CheckedClient, as_user: AsUser, advance: Advance
) -> None:
    member = as_user()
    body = {"email": member.email, "password": PASSWORD}
    stolen, other = (client.post("/auth/login", json=body).get_json() for _ in range(2))
    refresh(client, stolen)
    advance(60)
    assert refresh(client, stolen).status_code == 401
    assert not is_signed_in(client, stolen)
    assert is_signed_in(client, other)
    assert refresh(client, other).status_code == 200
    assert member.get("/auth/me").status_code == 200


def test_two_tabs_that_refresh_together_continue_one_line(
    client: CheckedClient, tokens: Tokens, advance: Advance
) -> None:
    tabs = [refresh(client, tokens).get_json(), refresh(client, tokens).get_json()]
    assert token_id(tabs[0]) == token_id(tabs[1]) != token_id(tokens)
    for _ in range(3):
        advance(3600)
        tabs = [refresh(client, tab).get_json() for tab in tabs]
        assert all(is_signed_in(client, tab) for tab in tabs)
        assert token_id(tabs[0]) == token_id(tabs[1])


def test_of_two_that_have_the_same_token_the_later_one_is_noticed_at_the_next_refresh(
    client: CheckedClient, tokens: Tokens, advance: Advance
) -> None:
    owner, thief = (refresh(client, tokens).get_json() for _ in range(2))
    advance(3600)
    assert refresh(client, owner).status_code == 200
    advance(60)
    assert refresh(client, thief).get_json()["code"] == "token_reused"
    assert not is_signed_in(client, owner)


def test_a_refresh_does_not_prolong_the_session_beyond_thirty_days(
    client: CheckedClient, tokens: Tokens, advance: Advance
) -> None:
    advance(timedelta(days=29).total_seconds())
    renewed = refresh(client, tokens)
    assert renewed.status_code == 200
    advance(timedelta(days=1).total_seconds())
    assert refresh(client, renewed.get_json()).status_code == 401
    assert not is_signed_in(client, renewed.get_json())


def test_sixteen_threads_may_refresh_one_token_at_once(app: Flask, client: CheckedClient, tokens: Tokens) -> None:
    clients = [new_client(app) for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda own: refresh(own, tokens), clients))
    assert {answer.status_code for answer in answers} == {200}
    assert len({token_id(answer.get_json()) for answer in answers}) == 1
    assert all(is_signed_in(client, answer.get_json()) for answer in answers)


def test_sixteen_threads_that_refresh_a_stolen_token_at_once_all_fail(
    app: Flask, client: CheckedClient, tokens: Tokens, advance: Advance
) -> None:
    refresh(client, tokens)
    advance(11)
    clients = [new_client(app) for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda own: refresh(own, tokens), clients))
    assert {answer.status_code for answer in answers} == {401}
    assert not is_signed_in(client, tokens)
