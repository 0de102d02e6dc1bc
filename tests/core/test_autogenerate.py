"""``flask db migrate`` writes what a new or changed model needs, for both databases, whichever it is run on."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, make_url, text
from sqlalchemy.exc import IntegrityError

from app.core.db import migrations
from tests.postgres import database_on

MODEL = """
from sqlalchemy import CheckConstraint, ForeignKey, Index, false
from sqlalchemy.orm import Mapped, mapped_column
from app.core.db.base import NEVER_REUSE_IDS, Searchable, length_check, text_type

class Meeting(Searchable):
    __tablename__ = "meetings"
    __table_args__ = (
        length_check("title", 80, least=1),
        CheckConstraint("kind IN ('walk', 'talk')", name="kind"),
        Index(None, "user_id", "created_at", "id"),
        NEVER_REUSE_IDS,
    )
    searched = ("title",)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str] = mapped_column(text_type(80))
    kind: Mapped[str] = mapped_column(text_type(10))
    is_public: Mapped[bool] = mapped_column(server_default=false())
"""
ROLE = """
from app.users.models import User
for constraint in User.__table__.constraints:
    if constraint.name == "ck_users_role":
        constraint.sqltext.text = "role IN ('member', 'moderator', 'treasurer', 'admin', 'gardener')"
"""
NEW_COLUMN = """
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy import CheckConstraint, Column, Integer
from app.posts.models import Post
Post.__table__.append_column(Column("likes", Integer, CheckConstraint("likes >= 0", name="likes"), nullable=True))
"""
RUN = """
import sys
from app import create_app
from flask_migrate import downgrade, migrate, upgrade
app = create_app("testing", {"DATABASE_URL": sys.argv[1]})
with app.app_context():
    for step in sys.argv[3:]:
        {"upgrade": upgrade, "downgrade": downgrade, "migrate": migrate}[step](directory=sys.argv[2])
"""


@pytest.fixture
def empty_url(database_url: str, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database."""
    if make_url(database_url).get_backend_name() == "sqlite":
        yield f"sqlite:///{tmp_path / 'new.db'}"
        return
    with database_on(database_url) as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations, to write into."""
    return Path(shutil.copytree(migrations.FOLDER, tmp_path / "migrations"))


@pytest.fixture
def engine(empty_url: str) -> Iterator[Engine]:
    """An engine of its own, past the app."""
    made = create_engine(empty_url.replace("postgresql://", "postgresql+psycopg2://"))
    yield made
    made.dispose()


def run(url: str, folder: Path, *steps: str, models: str = "") -> None:
    """Take ``steps`` with further ``models``, in a process of its own: a model cannot be taken back."""
    script = models + RUN
    done = subprocess.run([sys.executable, "-c", script, url, folder, *steps], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def written(folder: Path) -> str:
    """The one migration that is new in ``folder``."""
    known = {path.name for path in (migrations.FOLDER / "versions").glob("*.py")}
    (new,) = (path for path in (folder / "versions").glob("*.py") if path.name not in known)
    return new.read_text()


def test_nothing_is_written_where_models_and_database_agree(empty_url: str, folder: Path) -> None:
    run(empty_url, folder, "upgrade", "migrate")
    assert len(list((folder / "versions").glob("*.py"))) == len(migrations.known_revisions())


def test_a_new_table_comes_with_its_indexes_checks_and_search(empty_url: str, folder: Path, engine: Engine) -> None:
    run(empty_url, folder, "upgrade", "migrate", models=MODEL)
    migration = written(folder)
    assert 'op.create_search_index("meetings")' in migration
    assert "sqlite_autoincrement=True" in migration
    assert 'collation="C"' in migration
    assert "server_default=sa.false()" in migration
    run(empty_url, folder, "upgrade", models=MODEL)
    assert "ix_meetings_user_id_created_at_id" in {i["name"] for i in inspect(engine).get_indexes("meetings")}
    checks = {check["name"] for check in inspect(engine).get_check_constraints("meetings")}
    assert checks == {"ck_meetings_kind", "ck_meetings_title_length"}
    run(empty_url, folder, "downgrade")
    assert not {"meetings", "meetings_search"} & set(inspect(engine).get_table_names())


def test_a_migration_is_in_the_format_of_the_project(empty_url: str, folder: Path) -> None:
    run(empty_url, folder, "upgrade", "migrate", models=MODEL)
    for command in (("format", "--check"), ("check",)):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename=migrations/versions/new.py", "-"]
        done = subprocess.run(ruff, input=written(folder), text=True, capture_output=True, cwd=migrations.FOLDER.parent)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_upgrades_first(empty_url: str, folder: Path) -> None:
    environment = {**os.environ, "FLASK_ENV": "development", "DATABASE_URL": empty_url}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "migrate", "--directory", str(folder)]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, cwd=migrations.FOLDER.parent)
    assert done.returncode == 0, done.stderr
    assert "there is nothing to migrate" in done.stdout


def test_a_further_role_changes_the_check(empty_url: str, folder: Path, engine: Engine) -> None:
    run(empty_url, folder, "upgrade", "migrate", "upgrade", models=ROLE)
    insert = text(
        "INSERT INTO users (name, email, email_key, role, created_at, updated_at, search_text) "
        "VALUES ('An', 'a@example.com', 'a@example.com', :role, '2026-01-01', '2026-01-01', 'an')"
    )
    with engine.begin() as connection:
        connection.execute(insert, {"role": "gardener"})
        connection.execute(text("DELETE FROM users"))
    run(empty_url, folder, "downgrade")
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(insert, {"role": "gardener"})


def test_a_table_that_is_made_anew_is_still_searched_and_append_only(
    empty_url: str, folder: Path, engine: Engine
) -> None:
    def triggers() -> set[str]:
        names = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if engine.dialect.name == "postgresql":
            names = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
        with engine.connect() as connection:
            return set(connection.scalars(text(names)))

    run(empty_url, folder, "upgrade")
    before = triggers()
    run(empty_url, folder, "migrate", "upgrade", models=NEW_COLUMN)
    assert "batch_alter_table" in written(folder)
    assert triggers() == before
    run(empty_url, folder, "downgrade")
    assert triggers() == before
    assert "likes" not in {column["name"] for column in inspect(engine).get_columns("posts")}
