"""Backups as deploy/README.md prints them are taken while the service writes, and restored into an empty database."""

import re
import subprocess
from pathlib import Path

import pytest
import requests
from sqlalchemy import create_engine, text

from deploy.stack import BIN, Stack
from tests.postgres import database_on

ROWS = text("SELECT count(*) FROM posts")


def printed(project: Path, name: str) -> str:
    """Return the script that deploy/README.md prints under the heading ``name``."""
    found = re.search(
        rf"### {re.escape(name)}\n.*?```sh\n(.*?)```", (project / "deploy/README.md").read_text(), re.DOTALL
    )
    assert found, name
    return found[1]


def run(script: str, **environment: str) -> None:
    subprocess.run(["sh", "-euc", script], env=environment, check=True, cwd=environment["FOLDER"], timeout=120)


def test_a_backup_of_postgresql_is_restored(
    stack: Stack, member: requests.Session, project: Path, tmp_path: Path
) -> None:
    member.post(f"{stack.url}/api/v1/posts", json={"title": "Kept", "content": "In the backup"}, timeout=10)
    environment = {**stack.environment, "FOLDER": str(tmp_path)}
    run(printed(project, "PostgreSQL: back up"), **environment)
    member.post(f"{stack.url}/api/v1/posts", json={"title": "Late", "content": "After the backup"}, timeout=10)
    with database_on(stack.database_url) as empty:
        environment["DATABASE_URL"] = empty
        run(printed(project, "PostgreSQL: restore"), **environment)
        with create_engine(empty).connect() as restored, create_engine(stack.database_url).connect() as present:
            assert restored.scalar(ROWS) == (present.scalar(ROWS) or 0) - 1
            assert restored.scalar(text("SELECT title FROM posts ORDER BY id DESC LIMIT 1")) == "Kept"
        verified = subprocess.run(
            [BIN / "flask", "--app", "wsgi", "ledger", "verify"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "Balanced" in verified.stdout
        triggers = text("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal")
        with create_engine(empty).connect() as restored:
            assert restored.scalar(triggers)


@pytest.mark.parametrize("writing", [False, True])
def test_a_backup_of_sqlite_is_restored(stack: Stack, project: Path, tmp_path: Path, *, writing: bool) -> None:
    database = tmp_path / "agora.db"
    environment = {
        **stack.environment,
        "FOLDER": str(tmp_path),
        "FLASK_ENV": "development",
        "PYTHON": str(BIN / "python"),
    }
    environment["DATABASE_URL"] = f"sqlite:///{database}"
    subprocess.run([BIN / "flask", "--app", "wsgi", "prepare"], env=environment, check=True, capture_output=True)
    engine = create_engine(environment["DATABASE_URL"])
    with engine.connect() as connection:
        before = connection.scalar(ROWS)
        if writing:
            connection.execute(text("DELETE FROM posts"))  # not committed: no part of the backup
        run(printed(project, "SQLite: back up"), **environment)
        connection.rollback()
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM posts"))
    engine.dispose()
    run(printed(project, "SQLite: restore"), **environment)
    with engine.connect() as connection:
        assert (connection.scalar(ROWS), connection.scalar(text("PRAGMA integrity_check"))) == (before, "ok")
    engine.dispose()
