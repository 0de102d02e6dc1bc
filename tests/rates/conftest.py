"""An app with an exchange-rate service of the tests' own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.rates import source
from tests.client import CheckedClient
from tests.conftest import dispose, new_client
from tests.hostile import Behaviour, Hostile, answers_json, hostile_server

AppWith = Callable[..., Flask]


@pytest.fixture
def server() -> Iterator[Hostile]:
    """A rate service that knows the dollar."""
    with hostile_server() as server:
        server.behave = tells(USD=1.08)
        yield server


@pytest.fixture
def seconds() -> float:
    """The most that a call may take here: however slow the machine is, a service that answers has time enough."""
    return 20.0


@pytest.fixture
def app_with(app: Flask, monkeypatch: pytest.MonkeyPatch, seconds: float) -> Iterator[AppWith]:
    """Make an app on the same database with other settings."""
    monkeypatch.setattr(source, "TIMEOUT_SECONDS", seconds)
    made: list[Flask] = []

    def make(**settings: Any) -> Flask:
        one = create_app("testing", {"DATABASE_URL": app.config["DATABASE_URL"], **settings})
        one.test_client_class = CheckedClient
        made.append(one)
        return one

    yield make
    for one in made:
        dispose(one)


@pytest.fixture
def rated(app_with: AppWith, server: Hostile) -> Flask:
    """An app that asks that service."""
    return app_with(RATES_URL=server.url)


@pytest.fixture
def rates(rated: Flask) -> CheckedClient:
    """Somebody who asks for rates."""
    return new_client(rated)


def tells(**rates: Any) -> Behaviour:
    """Behave as Frankfurter does."""
    return answers_json({"amount": 1.0, "base": "EUR", "date": "2026-01-30", "rates": rates})
