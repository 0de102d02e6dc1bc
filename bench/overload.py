"""Load: what Agora does with more requests than it has threads, with none that can go on, and after very many."""

import tempfile
import threading
import time
from pathlib import Path

import psycopg2

from bench import report
from bench.client import Load, Seen, drive
from bench.contenders import Contender, started
from bench.database import Database, filled, server
from bench.fill import Size
from bench.process import memory
from bench.work import BY_NAME, SENDERS, Requests, sign_in

CONNECTIONS = (8, 32, 64)  # 2 workers of 4 threads, four and eight times as many
HELD = 30  # seconds
STEPS = 5


def measure(requests: int) -> None:
    """Measure, and print what was found. ``requests``: how many come between the first and the last weighing."""
    with (
        server() as address,
        filled(address, Size()) as database,
        tempfile.TemporaryDirectory(prefix="agora-bench-") as logs,
    ):
        with started("agora", database, Path(logs)) as agora:
            sent = _requests(agora)
            queue = _queue(agora, sent)
            stuck = _stuck(agora, database, sent)
        # Gunicorn would replace a worker after many requests; here it shall show whether it grows.
        with started("agora", database, Path(logs), GUNICORN_CMD_ARGS="--max-requests=0") as agora:
            weighed = _weigh(agora, _requests(agora), requests)
    result = {"machine": report.machine(), "queue": queue, "stuck": stuck, "memory": weighed}
    report.save(result, "load")
    print(report.table(("", "connections", "a second", "p50 ms", "p99 ms", "longest ms", "errors"), queue))
    print(report.table(("every table locked", "answers", "with Retry-After", "p50 ms", "longest ms"), stuck))
    print(report.table(("after requests", "MB of all processes"), weighed))


def _requests(agora: Contender) -> dict[str, list[str]]:
    requests = Requests({member: sign_in(agora, member) for member in range(1, SENDERS + 1)}, Size.members)
    return {name: requests.of(BY_NAME[name], agora) for name in ("W1", "W2k", "W4")}


def _queue(agora: Contender, sent: dict[str, list[str]]) -> list[list[str]]:
    """At four and eight times the concurrency of the threads: the latency is the queue's, and nothing fails."""
    rows = []
    for name, requests in sent.items():
        for connections in CONNECTIONS:
            drive(Load(agora.port, requests, 1.0, connections=connections))
            seen = drive(Load(agora.port, requests, 5.0, connections=connections))
            errors = seen.requests - seen.statuses.get(str(BY_NAME[name].status), 0)
            times = [f"{figure:.1f}" for figure in (seen.p50, seen.p99, seen.longest)]
            rows.append([name, str(connections), f"{seen.requests / seen.seconds:.0f}", *times, str(errors)])
            print(" | ".join(rows[-1]), flush=True)
    return rows


def _stuck(agora: Contender, database: Database, sent: dict[str, list[str]]) -> list[list[str]]:
    """While nobody can read the members' table, every request is to be answered 503 with Retry-After, and none to hang.

    Asked at the same moment are `/auth/me`, which needs the table, and `/health`, which needs a thread only.
    """
    found: dict[str, Seen] = {}
    health = Requests({}, Size.members).of(BY_NAME["W0"], agora)

    def ask(name: str, requests: list[str], connections: int) -> None:
        found[name] = drive(Load(agora.port, requests, count=connections, connections=connections))

    holder = psycopg2.connect(database.dsn)
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
    asking = [
        threading.Thread(target=ask, args=("32 times /auth/me", sent["W1"], 32)),
        threading.Thread(target=ask, args=("4 times /health beside it", health, 4)),
    ]
    release = time.monotonic() + HELD
    for thread in asking:
        thread.start()
        time.sleep(0.5)
    for thread in asking:
        thread.join(max(0.0, release - time.monotonic()))
    holder.close()
    for thread in asking:
        thread.join()
    ask("8 times /auth/me after it", sent["W1"], 8)
    return [
        [name, str(seen.statuses), str(seen.retry_after), f"{seen.p50:.0f}", f"{seen.longest:.0f}"]
        for name, seen in found.items()
    ]


def _weigh(agora: Contender, sent: dict[str, list[str]], requests: int) -> list[list[str]]:
    """Weigh the processes (PSS), warmed up, before, during and after a mix of requests."""
    mix = [*sent["W1"], *sent["W2k"], *sent["W4"]]
    drive(Load(agora.port, mix, count=max(requests // 20, 2_000)))
    rows = [["0", f"{memory(agora.pid) / 2**20:.1f}"]]
    for step in range(1, STEPS + 1):
        seen = drive(Load(agora.port, mix, count=requests // STEPS))
        wrong = {status: number for status, number in seen.statuses.items() if not status.startswith("2")}
        rows.append([f"{requests * step // STEPS:,}", f"{memory(agora.pid) / 2**20:.1f}"])
        print(" | ".join(rows[-1]), wrong or "", flush=True)
    return rows
