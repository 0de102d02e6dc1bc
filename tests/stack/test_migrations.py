"""Migrations take turns: when several instances start at once, one migrates and the others find it done."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from click import ClickException
from flask_migrate import upgrade
from sqlalchemy import Engine, create_engine, text

from app import create_app
from app.core.db import migrations
from deploy.stack import BIN, Stack
from tests.conftest import dispose
from tests.postgres import database_on
from tests.waiting import until

WAITING = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")


@pytest.fixture
def empty(stack: Stack) -> Iterator[str]:
    """An empty database on the stack's server."""
    with database_on(stack.database_url) as url:
        yield url


@contextmanager
def connected(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    yield engine
    engine.dispose()


def migrating(stack: Stack, url: str) -> "subprocess.Popen[bytes]":
    environment = {**stack.environment, "DATABASE_URL": url}
    return subprocess.Popen(
        [BIN / "flask", "--app", "wsgi", "db", "upgrade"], env=environment, stderr=subprocess.DEVNULL
    )


def test_migrations_at_once_all_succeed(stack: Stack, empty: str) -> None:
    programs = [migrating(stack, empty) for _ in range(3)]
    assert [program.wait(60) for program in programs] == [0, 0, 0]
    with connected(empty) as engine, engine.connect() as connection:
        assert migrations.current_revision(connection) == migrations.known_revisions()[0]


def test_a_migration_waits_for_the_one_that_is_under_way(stack: Stack, empty: str) -> None:
    with connected(empty) as engine, engine.connect() as other, engine.connect() as watching:
        other.execute(text(f"SELECT pg_advisory_lock({migrations.TURN})"))
        program = migrating(stack, empty)
        until(lambda: watching.scalar(WAITING))
        assert migrations.current_revision(watching) is None
        watching.rollback()
        other.execute(text(f"SELECT pg_advisory_unlock({migrations.TURN})"))
        assert program.wait(60) == 0
        assert migrations.current_revision(watching) == migrations.known_revisions()[0]


def test_a_migration_does_not_wait_for_ever(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "TURN_TIMEOUT", 100)
    app = create_app("testing", {"DATABASE_URL": empty})
    with connected(empty) as engine, engine.connect() as other, app.app_context():
        other.execute(text(f"SELECT pg_advisory_lock({migrations.TURN})"))
        with pytest.raises(ClickException, match="Another migration"):
            upgrade(directory=str(migrations.FOLDER))
    dispose(app)
