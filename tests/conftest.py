"""One app on a database made by the migrations, on SQLite or PostgreSQL; every test is undone."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from flask_migrate import upgrade
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from app import create_app
from app.auth import service as auth
from app.config import TESTING
from app.core.background import outbox
from app.core.background.dispatcher import QUEUES
from app.core.db import migrations
from app.core.db.base import Base
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.jobs import service as jobs
from app.jobs.runner import run_next
from app.users import service as users
from app.users.models import User
from app.users.passwords import hash_password
from tests.client import CheckedClient
from tests.postgres import scratch_database

PASSWORD = "Correct-horse-1"
SWITCHES = ("FAST_WORKER", "PREPARED_STATEMENTS", "WAIT_CALLBACK")  # of what rests on private parts of libraries
NO_BROKER = "redis://127.0.0.1:1/0"  # nobody listens there

AsUser = Callable[..., CheckedClient]
Again = Callable[[CheckedClient], CheckedClient]
Counter = Callable[[], Any]


# What starts processes, waits for time limits or tries thousands of inputs: left out of `make test-fast`.
SLOW = {
    *("test_new_resource.py", "test_running.py", "test_readme.py", "test_processes.py", "test_bell.py"),
    *("test_schemathesis.py", "test_input.py", "test_plans.py", "test_races.py", "test_headers.py"),
    *("test_queries.py", "test_dry_run.py", "test_lists.py", "test_filters.py"),
    *("test_cursors.py", "test_conditional.py", "test_idempotency.py"),
    *("test_thumbnails.py", "test_upload.py", "test_streaming.py", "test_storage.py", "test_imports.py"),
    *("test_pdf.py", "test_content.py", "test_asking.py", "test_mails.py", "test_outgoing.py"),
    *("test_rates.py", "test_demo_service.py", "test_jobs.py", "test_timetable.py", "test_metrics.py"),
}


def pytest_configure(config: pytest.Config) -> None:
    """Let SIGTERM end the tests as Ctrl-C does, so that they stop the servers that they have started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    config.addinivalue_line("markers", "slow: left out of `make test-fast`")
    if config.getoption("--plain"):
        TESTING.update(dict.fromkeys(SWITCHES, False))
        os.environ.update(dict.fromkeys(SWITCHES, "false"))  # for production, and for other processes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.name in SLOW:
            item.add_marker("slow")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=("sqlite", "postgresql"), default="sqlite", help="what to run the tests on")
    parser.addoption("--plain", action="store_true", help="switch off all that rests on private parts of libraries")


@pytest.fixture(scope="session")
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.config.getoption("--database") == "postgresql":
        with scratch_database() as url:
            yield url
    else:
        yield f"sqlite:///{tmp_path_factory.mktemp('database') / 'agora.db'}"


@pytest.fixture(scope="session")
def storage_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tmp_path_factory.mktemp("storage").as_uri()


@pytest.fixture(scope="session")
def session_app(database_url: str, storage_url: str) -> Iterator[Flask]:
    app = create_app("testing", {"DATABASE_URL": database_url, "STORAGE_URL": storage_url})
    app.test_client_class = CheckedClient
    with app.app_context():
        upgrade(directory=str(migrations.FOLDER))
    yield app
    dispose(app)


def dispose(app: Flask) -> None:
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()


@pytest.fixture
def app(session_app: Flask) -> Iterator[Flask]:
    yield session_app
    with session_app.app_context():
        undo()


def undo() -> None:
    """Empty every table, and count ids from 1 again."""
    tables = [table.name for table in reversed(Base.metadata.sorted_tables)]
    with db.engine.begin() as connection:
        if db.engine.dialect.name == "postgresql":
            connection.execute(text(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY"))
            return
        triggers = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
        for name, _ in triggers:
            connection.execute(text(f"DROP TRIGGER {name}"))
        for table in [*tables, "sqlite_sequence"]:
            connection.execute(text(f"DELETE FROM {table}"))
        virtual = connection.scalars(text("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%'"))
        for index in virtual.all():
            connection.execute(text(f"INSERT INTO {index} ({index}) VALUES ('delete-all')"))
        for _, sql in triggers:
            connection.exec_driver_sql(sql)


@pytest.fixture
def client(app: Flask) -> CheckedClient:
    return new_client(app)


def new_client(app: Flask) -> CheckedClient:
    client = app.test_client()
    assert isinstance(client, CheckedClient)
    return client


def begin_session(user_id: int, password_hash: str) -> dict[str, Any]:
    """Sign in a member whose password has this hash, in the unit of work under way, and return the tokens."""
    return auth.sign_in(user_id, known_hash=password_hash, new_hash=None, address="127.0.0.1", agent="tests")


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    """Run commands, as ``flask`` does."""
    return app.test_cli_runner()


@pytest.fixture
def db_session(app: Flask) -> Iterator[Session]:
    """A session that may write; what it commits is seen by the requests of the test, and undone with all else."""
    with app.app_context():
        engine = db.engine
    with Session(engine) as session:
        yield session


@pytest.fixture
def sample_user(app: Flask, password_hash: str) -> User:
    """A member, who signs in with PASSWORD."""
    email = "sample@example.com"
    with app.app_context():
        unit_of_work(lambda: users.create_user(email=email, name="Sample", password_hash=password_hash))
        return db.session.scalars(select(User).where(User.email == email)).one()


@pytest.fixture
def auth_headers(app: Flask, sample_user: User, password_hash: str) -> dict[str, str]:
    """The headers of a request that ``sample_user`` sends."""
    with app.app_context():
        tokens = unit_of_work(lambda: begin_session(sample_user.id, password_hash))
    return {"Authorization": f"Bearer {tokens['access_token']}"}


@pytest.fixture(scope="session")
def password_hash(session_app: Flask) -> str:
    with session_app.app_context():
        return hash_password(PASSWORD)


@pytest.fixture
def as_user(app: Flask, password_hash: str) -> AsUser:
    """Make a member with a role, and return a client that is signed in as that member."""
    made = iter(range(1, 1000))

    def sign_in(role: str = "member", *, name: str | None = None, email: str | None = None) -> CheckedClient:
        number = next(made)
        client = new_client(app)
        client.email = email or f"{role}{number}@example.com"

        def work() -> dict[str, Any]:
            user = users.create_user(
                email=client.email, name=name or f"{role} {number}", password_hash=password_hash, role=role
            )
            client.user_id = user.id
            return begin_session(user.id, password_hash)

        with app.app_context():
            use_token(client, unit_of_work(work)["access_token"])
        return client

    return sign_in


@pytest.fixture
def again(app: Flask) -> Again:
    """Return another client that is signed in as the same member; one for each thread."""

    def copy(member: CheckedClient) -> CheckedClient:
        client = new_client(app)
        client.environ_base = dict(member.environ_base)
        client.user_id = member.user_id
        return client

    return copy


def use_token(client: CheckedClient, token: str | None) -> None:
    """Send ``token`` with every request of ``client`` from now on; None sends none."""
    client.environ_base.pop("HTTP_AUTHORIZATION", None)
    if token is not None:
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"


def ask_for_job(client: CheckedClient, kind: str = "purge", **params: Any) -> int:
    """Queue a job of the member who is signed in as ``client``, and return its id."""
    with client.application.app_context():
        return int(unit_of_work(lambda: jobs.enqueue(kind, user_id=client.user_id, params=params))["id"])


@pytest.fixture
def work(app: Flask) -> Callable[[], None]:
    """Do all that is due, as the worker does: deliver the events and do the jobs, until there is nothing left."""

    def do_all() -> None:
        while do_events_and_a_job(app):
            pass

    return do_all


def do_events_and_a_job(app: Flask) -> bool:
    """Deliver the events that are due, and do the next job of a queue; return whether there was one."""
    with app.app_context():
        outbox.deliver_all()
    for queue in QUEUES:
        with app.app_context():
            if run_next(queue):
                return True
    return False


@pytest.fixture
def count_queries(app: Flask) -> Callable[[], Any]:
    """Count the statements that are sent to the database while a block runs."""

    @contextmanager
    def counting() -> Iterator[list[str]]:
        statements: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if not statement.startswith(("BEGIN", "PRAGMA")):
                statements.append(statement)

        with app.app_context():
            engines = {engine: engine._has_events for engine in db.engines.values()}
        for engine in engines:
            event.listen(engine, "before_cursor_execute", note)
        try:
            yield statements
        finally:
            for engine, had_events in engines.items():
                event.remove(engine, "before_cursor_execute", note)
                engine._has_events = had_events  # SQLAlchemy would go on to look for listeners.

    return counting


def production_settings(database_url: str) -> dict[str, Any]:
    """What production needs to start."""
    secrets = {
        "SECRET_KEY": "0123456789-abcdefghijklmnopqrstuv-A",
        "JWT_SECRET_KEY": "vutsrqponmlkjihgfedcba-9876543210-B",
    }
    return {"DATABASE_URL": database_url, "BROKER_URL": NO_BROKER, "LOG_LEVEL": "ERROR", **secrets}


@pytest.fixture
def production(app: Flask, database_url: str) -> Iterator[Flask]:
    """The same service as it runs in production, with TESTING off, on the same database."""
    production_app = create_app("production", production_settings(database_url))
    production_app.test_client_class = CheckedClient
    yield production_app
    dispose(production_app)


@pytest.fixture
def project() -> Path:
    return Path(__file__).parent.parent
