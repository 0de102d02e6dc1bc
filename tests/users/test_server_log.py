"""What PostgreSQL writes into its own log when somebody is refused: nothing that he has sent."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DataError, IntegrityError

from app import create_app
from app.core.db import migrations
from deploy.servers import POSTGRES_LOG
from tests.conftest import PASSWORD, dispose
from tests.postgres import FAST, own_server
from tests.waiting import until

LOGGING = (*FAST, "logging_collector=on", "log_filename=server.log")
ADA = {"email": "ada.lovelace@example.com", "name": "Ada", "password": PASSWORD}
Log = Callable[[], str]


def log_of(url: str) -> str:
    """Return what the server has logged until now, in lower case."""
    home = make_url(url).query["host"]
    assert isinstance(home, str)
    log = Path(home) / "data" / "log" / "server.log"
    engine = create_engine(url)
    with engine.connect() as connection, pytest.raises(DataError):
        connection.execute(text("SELECT 1 / 0"))
    engine.dispose()
    until(lambda: "division by zero" in log.read_text())
    return log.read_text().lower()


@pytest.fixture
def logged() -> Iterator[tuple[Flask, Log]]:
    """The service on a server that logs as PostgreSQL does when nobody has told it otherwise."""
    with own_server(*LOGGING) as url:
        app = create_app("testing", {"DATABASE_URL": url})
        with app.app_context():
            upgrade(directory=str(migrations.FOLDER))
        yield app, lambda: log_of(url)
        dispose(app)


def test_a_refused_sign_up_or_change_of_address_is_not_in_it(logged: tuple[Flask, Log]) -> None:
    app, log = logged
    client = app.test_client()
    assert client.post("/api/v1/users", json=ADA).status_code == 201
    again = client.post("/api/v1/users", json={**ADA, "email": ADA["email"].upper()})
    assert (again.status_code, again.get_json()["code"]) == (409, "email_taken")
    bob = {"email": "bob@example.com", "name": "Bob", "password": PASSWORD}
    url = client.post("/api/v1/users", json=bob).headers["Location"]
    token = client.post("/auth/login", json={"email": bob["email"], "password": PASSWORD}).get_json()["access_token"]
    change = {"email": ADA["email"], "current_password": PASSWORD}
    refused = client.patch(url, json=change, headers={"Authorization": f"Bearer {token}"})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "email_taken")
    written = log()
    assert "duplicate key" not in written
    assert "ada.lovelace" not in written
    assert "argon2" not in written


def test_a_constraint_that_is_violated_all_the_same_is_told_there_without_what_was_sent() -> None:
    with own_server(*LOGGING, *POSTGRES_LOG) as url:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE members (email_key text UNIQUE)"))
            connection.execute(text("INSERT INTO members VALUES ('ada.lovelace@example.com')"))
        with engine.connect() as connection, pytest.raises(IntegrityError):
            connection.execute(text("INSERT INTO members VALUES ('ada.lovelace@example.com')"))
        engine.dispose()
        written = log_of(url)
    assert "duplicate key" in written
    assert "ada.lovelace" not in written
