"""The real thing: the commands of the docs, on a real Gunicorn, in a checkout of its own."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from gunicorn.workers.gthread import ThreadWorker
from sqlalchemy import create_engine, make_url, text

from app.config.parsers import database_url as understood
from app.server.fast import FastWorker
from tests.conftest import NO_BROKER, SWITCHES
from tests.waiting import until

BIN = Path(sys.executable).parent
PARTS = ("app", "migrations", "wsgi.py", "gunicorn.conf.py", "Procfile")
WITHOUT_A_PAUSE = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
for number in range(1_000_000):
    connection.request("GET", "/nowhere")
    connection.getresponse().read()
    if number == 10:
        print("asking", flush=True)
"""
SECRETS = {name: f"0123456789-abcdefghijklmnop-{name[:3]}" + "-" * 5 for name in ("SECRET_KEY", "JWT_SECRET_KEY")}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Checkout:
    """A copy of what is deployed, with an environment of its own."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.served: list[subprocess.Popen[bytes]] = []
        self.environment = {
            "BROKER_URL": NO_BROKER,
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PORT": str(self.port),
            "DATABASE_URL": database_url,
            "WEB_CONCURRENCY": "1",
            **{name: os.environ[name] for name in SWITCHES if name in os.environ},
        }

    def run(self, *command: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a program of the environment to its end."""
        stdin = more.pop("stdin", None)
        return subprocess.run(
            [BIN / command[0], *command[1:]],
            cwd=self.folder,
            env={**self.environment, **more},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def serve(self, *arguments: str, **more: str) -> "subprocess.Popen[bytes]":
        """Start Gunicorn, and wait until it answers."""
        with self.log.open("w") as log:  # A pipe that nobody reads would stop the server when it is full.
            process = subprocess.Popen(
                [BIN / "gunicorn", *arguments], cwd=self.folder, env={**self.environment, **more}, stderr=log
            )
        self.served.append(process)
        for _ in range(300):
            assert process.poll() is None, self.log.read_text()
            try:
                self.get("/health")
                return process
            except urllib.error.URLError:
                time.sleep(0.1)
        raise AssertionError("Gunicorn did not answer")

    def stop(self, process: "subprocess.Popen[bytes]", how: int = signal.SIGTERM) -> str:
        """Stop Gunicorn, and return what it has logged."""
        process.send_signal(how)
        # A worker that has only just begun can miss the signal, and is ended by Gunicorn 30 seconds later.
        assert process.wait(45) == 0
        return self.log.read_text()

    def get(self, path: str, token: str = "") -> Any:
        request = urllib.request.Request(self.base + path)  # noqa: S310
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)

    def post(self, path: str, body: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.base + path, json.dumps(body).encode(), headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)


@pytest.fixture
def checkout(project: Path, tmp_path: Path, database_url: str) -> Iterator[Checkout]:
    for part in PARTS:
        source = project / part
        copy: Any = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / part)
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        yield from _stopped(Checkout(tmp_path, ""))
        return
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    name = f"agora_test_run_{os.getpid()}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"))
    address = url.set(database=name).render_as_string(hide_password=False).replace("+psycopg2", "")
    yield from _stopped(Checkout(tmp_path, address))
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


def _stopped(checkout: Checkout) -> Iterator[Checkout]:
    """Return a checkout, and stop what a test that has failed has left running there."""
    yield checkout
    for process in checkout.served:
        if process.poll() is None:
            process.terminate()
            process.wait(30)


def test_prepare_fills_an_empty_development_database_once(checkout: Checkout) -> None:
    first = checkout.run("flask", "prepare")
    assert (first.returncode, "demo" in first.stdout) == (0, True)
    second = checkout.run("flask", "prepare")
    assert (second.returncode, "demo" in second.stdout) == (0, False)
    assert "nothing to do" in checkout.run("flask", "seed").stdout
    assert checkout.run("flask", "db", "check").returncode == 0


def test_the_demo_members_of_every_role_can_sign_in_as_printed(checkout: Checkout) -> None:
    checkout.run("flask", "prepare")
    process = checkout.serve()
    welcome = checkout.stop(process, signal.SIGINT)
    assert checkout.base + "/docs" in welcome
    for role in ("member", "moderator", "treasurer", "admin"):
        assert f"{role}@example.com" in welcome
    assert "Agora-demo-1" in welcome


def test_the_service_runs_in_production_without_demo_data(checkout: Checkout) -> None:
    if not checkout.environment["DATABASE_URL"]:
        checkout.environment["DATABASE_URL"] = "sqlite:///production.db"
    checkout.environment |= {"FLASK_ENV": "production", **SECRETS}
    assert checkout.run("flask", "prepare").returncode == 0
    refused = checkout.run("flask", "seed")
    assert (refused.returncode, "not in production" in refused.stderr) == (1, True)
    process = checkout.serve("app:create_app()")
    assert checkout.get("/health/ready")["status"] == "healthy"
    assert checkout.get("/api/v1/users")["total"] == 0
    lines = [json.loads(line) for line in checkout.stop(process).splitlines() if line.startswith("{")]
    lines = [line for line in lines if line["logger"] == "app.access"]
    assert [line["status"] for line in lines] == [200] * len(lines)
    assert len(lines) >= 3


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 9000, 431),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x", 414),
        (b"nonsense", 400),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: -1", 400),
    ],
)
def test_what_is_not_http_is_refused_in_the_one_shape(checkout: Checkout, head: bytes, status: int) -> None:
    checkout.run("flask", "prepare")
    process = checkout.serve()
    with socket.create_connection(("127.0.0.1", checkout.port), timeout=10) as connection:
        connection.sendall(head + b"\r\n\r\n")
        received = b""
        while part := connection.recv(65536):
            received += part
    checkout.stop(process)
    answered, _, body = received.partition(b"\r\n\r\n")
    assert answered.split(b" ", 2)[1] == str(status).encode()
    assert b"X-Content-Type-Options: nosniff" in answered
    assert set(json.loads(body)) == {"error", "message", "code", "request_id"}


@pytest.mark.parametrize("megabytes", [2, 9])
def test_who_sends_too_much_is_told_so_and_may_go_on(checkout: Checkout, megabytes: int) -> None:
    checkout.run("flask", "prepare")
    process = checkout.serve()
    statuses = []
    with closing(http.client.HTTPConnection("127.0.0.1", checkout.port, timeout=10)) as connection:
        for _ in range(10):
            for body in (b"x" * megabytes * 1_000_000, iter([b"x" * 1_000_000] * megabytes), b"{}"):
                connection.request("POST", "/auth/login", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
    checkout.stop(process)
    assert statuses == [413, 413, 400] * 10


def test_a_connection_that_asks_without_a_pause_lets_others_in(checkout: Checkout) -> None:
    worker = checkout.folder / "app" / "server" / "fast.py"
    worker.write_text(
        worker.read_text().replace("\nKEEPALIVE_WAIT_MS = 2 ", "\nKEEPALIVE_WAIT_MS = 60_000 ")
    )  # lest it help
    checkout.run("flask", "prepare")
    process = checkout.serve(WEB_THREADS="1")
    asking = subprocess.Popen([sys.executable, "-c", WITHOUT_A_PAUSE, str(checkout.port)], stdout=subprocess.PIPE)
    assert asking.stdout is not None
    try:
        assert asking.stdout.readline() == b"asking\n"
        for _ in range(20):
            checkout.get("/health")
        assert asking.poll() is None
    finally:
        asking.kill()
        asking.communicate()
    checkout.stop(process)


def sockets(process: int) -> int:
    found = 0
    for file in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # It was closed meanwhile.
            found += os.readlink(file).startswith("socket:")
    return found


def test_new_connections_go_to_the_process_that_has_fewer(checkout: Checkout) -> None:
    worker = checkout.folder / "app" / "server" / "fast.py"
    worker.write_text(
        worker.read_text().replace("\nYIELD_SECONDS = 0.0002 ", "\nYIELD_SECONDS = 0.5 ")
    )  # on a busy machine
    checkout.run("flask", "prepare")
    server = checkout.serve(WEB_CONCURRENCY="2", WEB_THREADS="16")

    def connections() -> list[int]:
        """Return how many each process has, beside the socket that both listen on."""
        processes = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        return [sockets(int(pid)) - 1 for pid in processes]

    until(lambda: connections() == [0, 0])
    with ExitStack() as opened:
        for _ in range(16):
            opened.enter_context(closing(socket.create_connection(("127.0.0.1", checkout.port))))
            time.sleep(0.01)  # One that waits is woken by the next, and finds it taken, or not.
        found = until(lambda: sum(each := connections()) == 16 and each)
        assert max(found) - min(found) <= 2
    checkout.stop(server)


def test_who_has_waited_for_a_thread_for_too_long_is_answered_503(checkout: Checkout) -> None:
    checkout.run("flask", "prepare")
    process = checkout.serve(WEB_THREADS="1", LOCK_TIMEOUT="1")
    url = checkout.environment["DATABASE_URL"]
    engine = create_engine(understood(url) if url else f"sqlite:///{checkout.folder}/instance/agora.db")
    lock = "LOCK TABLE users" if engine.dialect.name == "postgresql" else "BEGIN IMMEDIATE"

    def sign_in(_: int) -> tuple[int, str, str]:
        with pytest.raises(urllib.error.HTTPError) as refused:
            checkout.post("/auth/login", {"email": "member@example.com", "password": "Agora-demo-1"})
        with refused.value as answer:
            return answer.code, answer.headers["Retry-After"], json.load(answer)["code"]

    with engine.connect() as holder:
        holder.exec_driver_sql(lock)
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(sign_in, range(8))) == {(503, "1", "unavailable")}
    engine.dispose()
    assert checkout.get("/health")
    assert "has waited for a thread" in checkout.stop(process)


def test_a_wait_is_counted_to_the_moment_but_not_the_time_of_a_freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr(ThreadWorker, "notify", lambda _self: None)
    worker = object.__new__(FastWorker)
    worker.age, worker.alive, worker.nr_conns, worker.awake = 1, True, 0, (0.0, now)
    now = 100.75
    assert worker.seconds_awake() == 0.75
    worker.notify()
    now = 101.75
    assert worker.seconds_awake() == 1.75
    now, worker.nr_conns = 700.0, -1  # as Gunicorn comes to count
    worker.notify()
    assert worker.seconds_awake() == 2.25


def test_a_port_in_use_is_one_clear_sentence(checkout: Checkout) -> None:
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", checkout.port))
        occupied.listen()
        refused = checkout.run("gunicorn")
    assert refused.returncode != 0
    assert f"127.0.0.1:{checkout.port} is in use" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("program", [("flask", "prepare"), ("flask", "db", "upgrade"), ("gunicorn",)])
def test_production_refuses_unsafe_settings_in_every_program(checkout: Checkout, program: tuple[str, ...]) -> None:
    unsafe = {"FLASK_ENV": "production", "CORS_ORIGINS": "*", "SECRET_KEY": "short"}
    unsafe |= dict.fromkeys(("DATABASE_URL", "BROKER_URL"), "")
    refused = checkout.run(*program, **unsafe)
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
    for reason in ("SECRET_KEY", "JWT_SECRET_KEY", "DATABASE_URL", "BROKER_URL", "CORS_ORIGINS"):
        assert reason in refused.stderr


def test_a_database_that_cannot_be_reached_is_one_clear_sentence(checkout: Checkout) -> None:
    for url in ("postgresql://agora:hidden@127.0.0.1:1/agora", "sqlite:////nowhere/agora.db"):
        refused = checkout.run("flask", "prepare", DATABASE_URL=url)
        assert refused.returncode == 1
        assert "cannot be used" in refused.stderr
        assert "Traceback" not in refused.stderr
        assert "hidden" not in refused.stderr + refused.stdout


def test_a_database_that_is_ahead_of_the_code_is_one_clear_sentence(checkout: Checkout) -> None:
    checkout.run("flask", "prepare")
    url = checkout.environment["DATABASE_URL"] or f"sqlite:///{checkout.folder}/instance/agora.db"
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    refused = checkout.run("flask", "prepare")
    assert (refused.returncode, "9999" in refused.stderr) == (1, True)
    assert "Traceback" not in refused.stderr
    process = checkout.serve()  # while newer code is deployed, the old one goes on serving
    assert checkout.get("/health/ready")["status"] == "healthy"
    checkout.stop(process)


def test_a_database_that_is_behind_the_code_is_not_ready(checkout: Checkout) -> None:
    checkout.run("flask", "db", "upgrade", "0001")
    process = checkout.serve()
    with pytest.raises(urllib.error.HTTPError, match="503"):
        checkout.get("/health/ready")
    checkout.stop(process)


def test_create_user_makes_an_account_in_any_role(checkout: Checkout) -> None:
    checkout.run("flask", "prepare")
    made = checkout.run(
        "flask", "create-user", "boss@example.com", "--name", "The boss", "--role", "admin", "--password", "-",
        stdin="Correct-horse-1\n",
    )  # fmt: skip
    assert (made.returncode, made.stdout) == (0, "Created the admin boss@example.com with the id 31.\n")
    asked = checkout.run(
        "flask", "create-user", "second@example.com", stdin="Second\nmember\nCorrect-horse-1\nCorrect-horse-1\n"
    )
    assert asked.returncode == 0, asked.stderr


def test_the_demo_is_a_market_whose_books_balance(checkout: Checkout) -> None:
    checkout.run("flask", "prepare")
    verified = checkout.run("flask", "ledger", "verify")
    assert (verified.returncode, "Balanced: 488 entries" in verified.stdout) == (0, True)
    process = checkout.serve()
    products = checkout.get("/api/v1/products")["products"]
    assert len(products) == 8
    assert all(product["description"] for product in products)
    checkout.stop(process)


def test_the_demo_members_are_told_of_their_orders_but_not_by_mail(checkout: Checkout) -> None:
    checkout.run("flask", "prepare")
    process = checkout.serve()
    signed_in = {"email": "member@example.com", "password": "Agora-demo-1"}
    token = checkout.post("/auth/login", signed_in)["access_token"]
    assert checkout.get("/api/v1/notifications", token)["total"] > 0
    with urllib.request.urlopen(checkout.base + "/metrics", timeout=10) as answer:  # noqa: S310
        assert 'agora_jobs{kind="email",status="queued"} 0.0' in answer.read().decode().splitlines()
    checkout.stop(process)


def test_seed_fills_a_database_for_load_tests(checkout: Checkout) -> None:
    checkout.run("flask", "db", "upgrade")
    seeded = checkout.run("flask", "seed", "--members", "50", "--posts", "6000", "--transfers", "7000")
    assert seeded.returncode == 0, seeded.stderr
    assert "Balanced: 14" in checkout.run("flask", "ledger", "verify").stdout
    process = checkout.serve()
    assert checkout.get("/api/v1/posts")["total"] == 6000
    checkout.stop(process)


@pytest.mark.parametrize(
    ("email", "password", "reason"),
    [
        ("no address", "Correct-horse-1", "email"),
        ("new@example.com", "weak", "password"),
        ("ADMIN@example.com", "Correct-horse-1", "has an account already"),
    ],
)
def test_create_user_says_what_is_wrong(checkout: Checkout, email: str, password: str, reason: str) -> None:
    checkout.run("flask", "prepare")
    refused = checkout.run("flask", "create-user", email, "--name", "Name", "--role", "member", "--password", password)
    assert refused.returncode == 1
    assert reason in refused.stderr
    assert "Traceback" not in refused.stderr
