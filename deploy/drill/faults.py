"""What is broken, one after the other. The end of a fault is when its function returns; nobody repairs anything."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGHUP, SIGKILL, SIGSTOP

import psycopg2
import redis

from deploy.drill.places import Ground
from deploy.stack import Stack

SLOW_CLIENTS = 200
WINDOW = 6.0  # seconds of most faults
LONG = 15.0  # seconds; more than a statement and the wait for its answer may take
IS_OURS = "application_name = 'agora'"


@dataclass(frozen=True)
class Fault:
    """Something that happens. ``harmless``: no request fails by it, not even within its window.

    ``missing`` tells why it cannot happen here, or gives None.
    """

    name: str
    title: str
    happens: Callable[[Ground], None]
    harmless: bool = False
    missing: Callable[[Ground], str | None] = lambda _ground: None


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it, itself first."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid, *(member for child in children for member in family(int(child)))]


def _kill(*pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, SIGKILL)


def kill_child(name: str) -> Callable[[Ground], None]:
    """Kill one process that the program ``name`` has forked."""

    def happens(ground: Ground) -> None:
        _kill(family(ground.processes[name].pid)[1])

    return happens


def kill(name: str) -> Callable[[Ground], None]:
    """Kill the first process of a program alone; what becomes of its children is the program's affair."""

    def happens(ground: Ground) -> None:
        _kill(ground.processes[name].pid)

    return happens


def kill_all(name: str) -> Callable[[Ground], None]:
    """Kill a program with all its processes."""

    def happens(ground: Ground) -> None:
        _kill(*family(ground.processes[name].pid))

    return happens


def kill_backend(ground: Ground) -> None:
    """Kill a process of PostgreSQL that works for Agora; PostgreSQL then ends all others, since memory is shared."""
    with _database(ground) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT pid FROM pg_stat_activity WHERE {IS_OURS} ORDER BY query_start DESC LIMIT 1")
        found = cursor.fetchone()
    assert found is not None
    _kill(found[0])


def freeze(name: str, seconds: float = WINDOW) -> Callable[[Stack], None]:
    """Stop a program with all its processes, and let it go on."""

    def happens(stack: Stack) -> None:
        frozen: list[int] = []
        try:
            while more := [pid for pid in family(stack.processes[name].pid) if pid not in frozen]:
                for pid in more:
                    frozen.append(pid)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, SIGSTOP)
            time.sleep(seconds)
        finally:
            for pid in reversed(frozen):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, SIGCONT)

    return happens


def cut_off(ground: Ground) -> None:
    """Pull the cable between Nginx and one web host."""
    assert ground.network is not None
    ground.network.cut()
    try:
        time.sleep(WINDOW)
    finally:
        ground.network.connect()


def fill_disk(ground: Ground) -> None:
    """Leave no byte free where files are stored."""
    assert ground.disk is not None
    with ground.disk.full():
        time.sleep(WINDOW)


def take_connections(ground: Ground) -> None:
    """Hold every connection that PostgreSQL has, Agora's own too."""
    held: list[psycopg2.extensions.connection] = []
    end = time.monotonic() + WINDOW
    try:
        while time.monotonic() < end:
            try:
                held.append(psycopg2.connect(ground.libpq_url))
            except psycopg2.OperationalError:
                with held[0].cursor() as cursor:
                    cursor.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {IS_OURS} LIMIT 5")
                time.sleep(0.02)
    finally:
        for connection in held:
            connection.close()


def slow_clients(ground: Ground) -> None:
    """Let many send half a head, or a body of which a byte comes now and then."""
    head = b"GET /api/v1/posts HTTP/1.1\r\nHost: h\r\nX-Slow: "
    body = b"POST /auth/login HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    end = time.monotonic() + 2 * WINDOW
    with contextlib.ExitStack() as stack:
        slow = []
        for number in range(SLOW_CLIENTS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", ground.port)))
            connection.sendall((head, body)[number % 2])
            slow.append(connection)
        while time.monotonic() < end:
            for connection in slow:
                with contextlib.suppress(OSError):  # This one was cut off.
                    connection.sendall(b"1")
            time.sleep(1)


def make_read_only(ground: Ground) -> None:
    """Make Redis the replica of a server that is not there: it answers READONLY to every write."""
    broker = redis.Redis(unix_socket_path=str(ground.folder / "redis" / "socket"))
    broker.replicaof("127.0.0.1", 1)
    try:
        time.sleep(WINDOW)
    finally:
        broker.replicaof("NO", "ONE")
        broker.close()


def reload(ground: Ground) -> None:
    """Have both web instances replace their workers."""
    for name in ground.web_ports:
        ground.processes[name].signal(SIGHUP)
        time.sleep(WINDOW / 2)


def restart(ground: Ground) -> None:
    """Stop and start one web instance after the other, as a deployment does."""
    for name, port in ground.web_ports.items():
        ground.processes[name].stop()
        ground.processes[name].start()
        ground.wait_until_ready(f"http://{ground.web_hosts[name]}:{port}")


@contextlib.contextmanager
def _database(ground: Ground) -> Iterator[psycopg2.extensions.connection]:
    connection = psycopg2.connect(ground.libpq_url)
    try:
        yield connection
    finally:
        connection.close()


def _no_network(ground: Ground) -> str | None:
    return None if ground.network else "no network namespace: " + "; ".join(ground.missing)


def _no_disk(ground: Ground) -> str | None:
    return None if ground.disk else "no disk of its own: " + "; ".join(ground.missing)


FAULTS = (
    Fault("web-worker", "a Gunicorn worker is killed", kill_child("web1")),
    Fault("web", "a Gunicorn is killed with its workers", kill_all("web1")),
    Fault("web-master", "the first process of a Gunicorn is killed alone", kill("web1")),
    Fault("job", "a child of the Celery worker is killed", kill_child("worker"), harmless=True),
    Fault("worker", "the Celery worker is killed", kill_all("worker"), harmless=True),
    Fault("backend", "a PostgreSQL backend is killed", kill_backend),
    Fault("postmaster", "the postmaster is killed", kill("postgres")),
    Fault("redis", "Redis is killed", kill("redis"), harmless=True),
    Fault("frozen-web", "a Gunicorn is frozen", freeze("web1"), harmless=True),
    Fault("frozen-worker", "the Celery worker is frozen", freeze("worker"), harmless=True),
    Fault("frozen-postgres", "PostgreSQL is frozen", freeze("postgres", LONG)),
    Fault("frozen-redis", "Redis is frozen", freeze("redis"), harmless=True),
    Fault("cut-off", "a web host is cut off", cut_off, missing=_no_network),
    Fault("disk", "the disk of the files is full", fill_disk, missing=_no_disk),
    Fault("connections", "PostgreSQL has no connection left", take_connections),
    Fault("read-only-redis", "Redis takes no writes, as while it fails over", make_read_only, harmless=True),
    Fault("slow", f"{SLOW_CLIENTS} slow clients", slow_clients, harmless=True),
    Fault("reload", "both Gunicorns are told to reload (HUP)", reload, harmless=True),
    Fault("restart", "both Gunicorns are restarted, one by one", restart, harmless=True),
)
