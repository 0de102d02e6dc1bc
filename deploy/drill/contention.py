"""What makes others wait: slow services, backlogs, late clocks, locks, and many who ask for the same at once."""

import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import requests
from sqlalchemy import create_engine

from deploy.drill.arena import AT_ONCE, ATTACKER, WINDOW, Arena, Attack
from deploy.drill.clients import PASSWORD, PATIENCE

REPORT_WITHIN = 10.0  # seconds; what was promised for a message that is lost are 35
AT_ONCE_WITHIN = 4.0  # seconds for a report that no worker finds due too late; the next tick could be 5 s away
TICK_WITHIN = 15  # seconds since the scheduler's last tick; it has one every five
SLOW_MAIL = 8.0  # seconds
MAILS = 30
BACKLOG = 8_600  # mails
SIGN_INS = 64
SHIFTS = (-0.3, 0.3, -4.0, 4.0)  # seconds, below what app/core/clock.py allows for
LOCK_WITHIN = 7.5  # seconds; half as much again as LOCK_TIMEOUT
CLOCK = Path(__file__).with_name("shifted_clock.c")
UPLOAD = 10 << 20  # bytes


def slow_mails(arena: Arena) -> None:
    """Have 30 mails sent by a server that takes eight seconds for each."""
    before, arena.mails.delay = arena.mails.begun, SLOW_MAIL
    try:
        for _ in range(MAILS):
            _transfer(arena)
        while arena.mails.begun == before:
            time.sleep(0.1)
        arena.expect_report("a report beside slow mails", within=REPORT_WITHIN)
        time.sleep(WINDOW)
        _expect_tick(arena)
    finally:
        arena.mails.delay = 0.0


def backlog(arena: Arena) -> None:
    """Have 8,600 mails sent; another's report is ready while they come in, and while they wait."""
    arena.mails.delay = 0.05
    with ThreadPoolExecutor(AT_ONCE) as pool:
        coming = [pool.submit(_transfer, arena) for _ in range(BACKLOG)]
        for number, _ in enumerate(as_completed(coming)):
            if number == BACKLOG // 2:
                break
        arena.expect_report("a report while mails come in", within=REPORT_WITHIN)
        _expect_tick(arena)
    arena.expect_report("a report behind a backlog of mails", within=REPORT_WITHIN)
    _expect_tick(arena)


def _transfer(arena: Arena) -> requests.Response:
    """Send a credit to the other member, who is told by mail."""
    return arena.send("POST", "/api/v1/transfers", json={"receiver_id": arena.reader_id, "amount": 1})


def _expect_tick(arena: Arena) -> None:
    age = requests.get(f"{arena.stack.url}/health/ready", timeout=PATIENCE).json()["tick_age"]
    if age is None or age > TICK_WITHIN:
        arena.found.append(f"the last tick was {age} s ago")


def late_clocks(arena: Arena) -> None:
    """Let the clock of the worker, then that of a web process, differ from all others."""
    for seconds in SHIFTS:
        with _shifted(arena, "worker", seconds):
            arena.finished_job(arena.send("POST", "/api/v1/reports", json={"kind": "sales", "format": "csv"}))
            arena.expect_report(f"a report of a worker whose clock is {seconds:+} s off", within=AT_ONCE_WITHIN)
    names = list(arena.stack.web_ports)
    if len(names) > 1:
        for seconds in SHIFTS:
            with _shifted(arena, names[0], seconds):
                _expect_token_taken(arena, *names[:2], seconds=seconds)


def _expect_token_taken(arena: Arena, issuer: str, other: str, *, seconds: float) -> None:
    issues, takes = (f"http://127.0.0.1:{arena.stack.web_ports[name]}" for name in (issuer, other))
    credentials = {"email": ATTACKER, "password": PASSWORD}
    token = requests.post(f"{issues}/auth/login", json=credentials, timeout=PATIENCE).json()["access_token"]
    answer = requests.get(f"{takes}/auth/me", headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE)
    arena.expect(f"a token of a host whose clock is {seconds:+} s off", answer.status_code, 200)


@contextmanager
def _shifted(arena: Arena, name: str, seconds: float) -> Iterator[None]:
    """Run a program, inside the block, by a clock that is off by ``seconds``."""
    library = arena.stack.folder / "shifted_clock.so"
    if not library.exists():
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(CLOCK), "-ldl"], check=True)
    process = arena.stack.processes[name]
    right = process.environment
    shift = {"LD_PRELOAD": str(library), "CLOCK_SHIFT_MS": str(round(seconds * 1000))}
    for environment in ({**right, **shift}, right):
        process.stop()
        process.environment = environment
        process.start()
        if name in arena.stack.web_ports:
            arena.stack.wait_until_ready(f"http://127.0.0.1:{arena.stack.web_ports[name]}")
        if environment is not right:
            yield


def _no_compiler() -> str | None:
    return None if shutil.which("cc") else "no C compiler"


def locked_account(arena: Arena) -> None:
    """Lock the accounts, or all of SQLite, for as long as eight transfers with new keys wait for them."""
    engine = create_engine(arena.stack.database_url)
    lock = "SELECT id FROM accounts FOR UPDATE" if engine.dialect.name == "postgresql" else "BEGIN IMMEDIATE"

    def wait(_number: int) -> tuple[int, float]:
        begun = time.monotonic()
        sent = {
            "json": {"receiver_id": arena.reader_id, "amount": 1},
            "headers": {"Idempotency-Key": secrets.token_hex()},
        }
        return arena.send("POST", "/api/v1/transfers", **sent).status_code, time.monotonic() - begun

    with engine.connect() as connection, ThreadPoolExecutor(AT_ONCE) as pool:
        connection.exec_driver_sql(lock)
        for status, seconds in pool.map(wait, range(AT_ONCE)):
            arena.expect("a transfer behind a lock", status, 503)
            if seconds > LOCK_WITHIN:
                arena.found.append(f"a transfer has waited {seconds:.1f} s for a lock")
    engine.dispose()


def sign_ins(arena: Arena) -> None:
    """Sign in 64 times at once: each takes a hash that is slow on purpose."""
    credentials = {"email": ATTACKER, "password": PASSWORD}
    for status in arena.flood("POST", "/auth/login", clients=SIGN_INS, json=credentials):
        arena.expect("64 sign-ins at once", status, 200, 503)


def uploads(arena: Arena) -> None:
    """Upload as many large files at once as there are clients, until the quota is used up."""
    for status in arena.flood("POST", "/api/v1/files", files={"file": ("large.bin", bytes(UPLOAD))}):
        arena.expect("several uploads at once", status, 201, 409, 503)


ATTACKS = (
    Attack("slow-mails", f"{MAILS} mails by a server that takes {SLOW_MAIL:.0f} s for each", slow_mails),
    Attack("clocks", "clocks that are up to 4 s off", late_clocks, missing=_no_compiler),
    Attack("locks", f"a locked account, {AT_ONCE} transfers behind it", locked_account),
    Attack("sign-ins", f"{SIGN_INS} sign-ins at once", sign_ins),
    Attack("uploads", f"{AT_ONCE} uploads of 10 MiB at once", uploads),
    Attack("backlog", f"a backlog of {BACKLOG:,} mails of one member", backlog),
)
