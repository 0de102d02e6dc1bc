"""Connections to PostgreSQL that die in the pool, on a server that may be hurt."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from app import create_app
from app.core.db import postgres
from app.core.unit_of_work import execute, unit_of_work
from tests.conftest import dispose
from tests.postgres import FAST, own_server

KILL = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'agora'")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with own_server(*FAST) as address:
        yield address


@pytest.fixture
def hurt(server: str) -> Iterator[Flask]:
    """An app whose connections have been used, and then all cut by the server."""
    app = create_app("testing", {"DATABASE_URL": server})
    for _ in range(2):
        for answer in answers(app):
            assert answer() == 1
    other = create_engine(server, isolation_level="AUTOCOMMIT")
    with other.connect() as connection:
        assert len(connection.execute(KILL).all()) == 2
    other.dispose()
    yield app
    dispose(app)


def answers(app: Flask) -> list[Callable[[], object]]:
    """Return two ways to ask the database: by the connection that reads, and by the one that writes."""

    def ask() -> object:
        return execute(text("SELECT 1")).scalar()

    def read() -> object:
        with app.app_context():
            return ask()

    def write() -> object:
        with app.app_context():
            return unit_of_work(ask)

    return [read, write]


def test_a_connection_that_died_while_it_was_idle_is_replaced_unnoticed(
    hurt: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "PING_AFTER_IDLE", 0.0)
    for answer in answers(hurt):
        assert answer() == 1


def test_one_that_was_just_used_costs_one_request_at_most(hurt: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "PING_AFTER_IDLE", 60.0)
    for answer in answers(hurt):
        with pytest.raises(DBAPIError):
            answer()
        assert answer() == 1
