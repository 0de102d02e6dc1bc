"""Production's topology on one machine, without containers: ``python -m deploy.stack`` (``make stack``).

Nginx before two Gunicorns, a worker, a mailer, the scheduler, PostgreSQL and Redis, from the files that containers are
made of, on loopback and on sockets in a folder of their own. Whatever ends is started again; all are stopped as one.
"""

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import create_engine, make_url, text

from app.config import ROOT
from deploy import servers
from deploy.process import Keeper, Process, wait_for_file

BIN = Path(sys.executable).parent
READY_WITHIN = 60  # seconds
OF_THE_MACHINE = ("PATH", "HOME", "LANG", "TMPDIR", "TZ")


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Stack:
    """All processes by name, while a ``with`` lasts: postgres, redis, web1, web2, worker, mailer, scheduler and nginx.

    ``port`` is Nginx's, by default a free one; ``database`` is postgresql or sqlite. ``url`` is where it is served,
    ``environment`` what its programs are told, ``folder`` where the logs and the data are; it is removed at the end.
    """

    def __init__(self, port: int | None = None, *, webs: int = 2, database: str = "postgresql") -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = Path(tempfile.mkdtemp(prefix="agora-stack-"))
        self.folder.chmod(0o711)  # Others who run parts of it find their own folders in it, and see nothing else.
        self.files = self.folder / "files"
        self.web_ports = {f"web{number}": free_port() for number in range(1, webs + 1)}
        self.web_hosts = dict.fromkeys(self.web_ports, "127.0.0.1")
        self.database_url = (
            f"sqlite:///{self.folder / 'agora.db'}"
            if database == "sqlite"
            else f"postgresql+psycopg2://agora@/agora?host={self.folder / 'postgres'}"
        )
        self.libpq_url = self.database_url.replace("+psycopg2", "")
        self.environment = self._environment()
        self.processes: dict[str, Process] = {}

    def _environment(self) -> dict[str, str]:
        machine = {name: os.environ[name] for name in OF_THE_MACHINE if name in os.environ}
        return machine | {
            "FLASK_ENV": "production",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "JWT_SECRET_KEY": secrets.token_urlsafe(48),
            "DATABASE_URL": self.database_url,
            "BROKER_URL": f"redis+socket://{self.folder / 'redis' / 'socket'}",
            "STORAGE_URL": self.files.as_uri(),
            "TRUSTED_PROXIES": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def _start(self) -> None:
        """Start all in the order in which they need each other."""
        if self.database_url.startswith("postgresql"):
            wait_for_file(self._add(servers.postgres(self.folder)), self.folder / "postgres" / ".s.PGSQL.5432")
        wait_for_file(self._add(servers.redis(self.folder)), self.folder / "redis" / "socket")
        if self.database_url.startswith("postgresql"):
            self._create_database()
        self.run("flask", "--app", "wsgi", "db", "upgrade")
        for name in self.web_ports:
            self._add(self._web(name))
        for name, command in self._background():
            self._add(self._own(name, *command))
        web = [f"{self.web_hosts[name]}:{port}" for name, port in self.web_ports.items()]
        self._add(servers.nginx(self.folder, listen=f"127.0.0.1:{self.port}", web=web))
        for base in (*(f"http://{address}" for address in web), self.url):
            self.wait_until_ready(base)
        self._keeper = Keeper(list(self.processes.values()))
        self._keeper.start()

    def _add(self, process: Process) -> Process:
        self.processes[process.name] = process
        process.start()
        return process

    @staticmethod
    def _background() -> list[tuple[str, list[str]]]:
        """Return the processes beside web: the lines of the Procfile, which name modules, as programs."""
        lines = (line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
        return [(name, command.removeprefix("python -m ").split()) for name, command in lines if name != "web"]

    def _web(self, name: str) -> Process:
        """Return a web instance."""
        return self._own(name, "gunicorn", HOST=self.web_hosts[name], PORT=str(self.web_ports[name]))

    def _own(self, name: str, program: str, *arguments: str, **more: str) -> Process:
        """Return a process of Agora's own."""
        return Process(
            name=name,
            command=[str(BIN / program), *arguments],
            folder=ROOT,
            log=self.folder / f"{name}.log",
            environment=self.environment | more,
        )

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of Agora's environment to its end, and return its output. Raises RuntimeError if it fails."""
        done = subprocess.run(  # noqa: S603
            [str(BIN / program), *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} {' '.join(arguments)} has failed:\n{done.stderr}")
        return done.stdout

    def _create_database(self) -> None:
        engine = create_engine(make_url(self.database_url).set(database="postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("CREATE DATABASE agora TEMPLATE template0"))
        engine.dispose()

    def wait_until_ready(self, base: str) -> None:
        """Wait until the service at ``base`` says that it is ready. Raises RuntimeError after a minute."""
        end = time.monotonic() + READY_WITHIN
        while time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"{base}/health/ready", timeout=5):  # noqa: S310
                    return
            except OSError:
                time.sleep(0.1)
        logs = "\n".join(f"==> {p.name}\n{p.log.read_text(errors='replace')[-2000:]}" for p in self.processes.values())
        raise RuntimeError(f"{base} is not ready.\n{logs}")

    def stop(self) -> None:
        """Stop all, who is asked first, and remove the folder."""
        if hasattr(self, "_keeper"):
            self._keeper.end()
        for process in reversed(self.processes.values()):
            process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def main() -> None:
    """Run the stack until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m deploy.stack", description=main.__doc__)
    parser.add_argument("--port", type=int, default=8080, help="where Nginx listens on the loopback")
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    try:
        with Stack(parser.parse_args().port) as stack:
            print(
                f"\nAgora serves {stack.url}, as it does in production.\n  Logs  {stack.folder}/*.log\n  Stop  Ctrl-C\n"
            )
            for process in stack.processes.values():
                print(f"  {process.name:10} pid {process.pid}", flush=True)
            over.wait()
    except RuntimeError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
