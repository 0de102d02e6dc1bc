"""The private PostgreSQL that everything is measured on, durable and with nothing going on by itself; and a broker."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import make_url

from bench.fill import Size, fill
from deploy import servers
from deploy.process import wait_for_file
from tests.postgres import database_on, own_server

# Autovacuum and timed checkpoints would hit whoever is measured at that moment; `tidy` does their work between rounds.
SETTINGS = (
    "fsync=on",
    "synchronous_commit=on",
    "autovacuum=off",
    "shared_buffers=512MB",
    "max_wal_size=8GB",
    "checkpoint_timeout=1h",
    "max_connections=200",
)


@dataclass(frozen=True)
class Secrets:
    """What signs the tokens and cursors of this run."""

    key: str = field(default_factory=lambda: secrets.token_hex(32))
    jwt: str = field(default_factory=lambda: secrets.token_hex(32))


@dataclass(frozen=True)
class Database:
    """A database: its address, the process id of its server, the broker's address, and the secrets of who serves it."""

    dsn: str
    server: int
    broker: str
    secrets: Secrets

    @property
    def environment(self) -> dict[str, str]:
        """What Agora needs to be told in production."""
        return {
            "FLASK_ENV": "production",
            "DATABASE_URL": self.dsn,
            "SECRET_KEY": self.secrets.key,
            "JWT_SECRET_KEY": self.secrets.jwt,
            "BROKER_URL": self.broker,
            "WEB_CONCURRENCY": "2",
            "WEB_THREADS": "4",
        }


@contextmanager
def server() -> Iterator[str]:
    """Start a server, and return its address."""
    with own_server(*SETTINGS) as address:
        yield address


@contextmanager
def broker() -> Iterator[str]:
    """Start a Redis, and return its address; nobody takes from it what it is told."""
    with TemporaryDirectory(prefix="agora-bench-") as name:
        Path(name).chmod(0o711)  # It may run as another user, who must find its own folder.
        redis = servers.redis(Path(name))
        redis.start()
        try:
            wait_for_file(redis, socket := Path(name) / "redis" / "socket")
            yield f"redis+socket://{socket}"
        finally:
            redis.stop()


@contextmanager
def filled(address: str, size: Size) -> Iterator[Database]:
    """Make a database on the server, fill it, and drop it at the end."""
    print(f"==> Filling a database: {size.members:,} members, {size.posts:,} posts, {size.transfers:,} transfers")
    with broker() as redis, database_on(address) as url:
        folder = Path(str(make_url(url).query["host"]))
        pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        database = Database(url.replace("+psycopg2", ""), pid, redis, Secrets())
        fill(database.dsn, size, database.environment)
        yield database
