"""A real Gunicorn whose threads wait behind a lock: it reads on, and says that it is alive."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine

from app.config.parsers import database_url as understood
from tests.test_running import Checkout, checkout

__all__ = ["checkout"]

LOCK_TIMEOUT = 8  # seconds
AT_ONCE = 4  # seconds, which a busy machine may take for what waits for nobody
WAITERS = 6  # three times as many as there are threads

Told = tuple[int, str, str]


@contextmanager
def locked(checkout: Checkout, table: str) -> Iterator[None]:
    """Hold ``table`` on PostgreSQL, and the whole of SQLite, as who is about to write does."""
    url = checkout.environment["DATABASE_URL"]
    engine = create_engine(understood(url) if url else f"sqlite:///{checkout.folder}/instance/agora.db")
    with engine.connect() as holder:
        holder.exec_driver_sql(f"LOCK TABLE {table}" if engine.dialect.name == "postgresql" else "BEGIN IMMEDIATE")
        yield
    engine.dispose()


def transfer(checkout: Checkout, token: str, key: str) -> Told:
    """Send a transfer with a key that is new, and return how it was refused."""
    request = urllib.request.Request(  # noqa: S310
        f"{checkout.base}/api/v1/transfers",
        json.dumps({"receiver_id": 2, "amount": 1}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {token}", "Idempotency-Key": key},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)  # noqa: S310
    with refused.value as answer:
        return answer.code, answer.headers["Retry-After"], json.load(answer)["code"]


@contextmanager
def waiters(checkout: Checkout, table: str) -> Iterator[list[Future[Told]]]:
    """Run a service, and more transfers than it has threads, all of which wait for ``table``."""
    checkout.run("flask", "prepare")
    process = checkout.serve(WEB_THREADS="2", LOCK_TIMEOUT=str(LOCK_TIMEOUT))
    member = {"email": "member@example.com", "password": "Agora-demo-1"}
    token = checkout.post("/auth/login", member)["access_token"]
    with locked(checkout, table), ThreadPoolExecutor(WAITERS) as pool:
        waiting = [pool.submit(transfer, checkout, token, f"key-{number}") for number in range(WAITERS)]
        time.sleep(1)  # until they have arrived
        yield waiting
        wait(waiting)
    checkout.stop(process)


def longest_answer(checkout: Checkout, path: str, waiting: list[Future[Told]]) -> float:
    """Ask for ``path`` as long as all wait, and return the most seconds that an answer took."""
    longest = 0.0
    while not any(each.done() for each in waiting):
        begun = time.monotonic()
        checkout.get(path)
        longest = max(longest, time.monotonic() - begun)
    return longest


def test_others_read_while_more_than_there_are_threads_wait_to_write(checkout: Checkout) -> None:
    with waiters(checkout, "accounts") as waiting:
        assert 0 < longest_answer(checkout, "/api/v1/posts", waiting) < AT_ONCE


def test_who_waits_with_a_new_key_is_told_that_the_service_is_busy_and_not_that_the_key_is(checkout: Checkout) -> None:
    with waiters(checkout, "accounts") as waiting:
        pass
    assert {each.result() for each in waiting} == {(503, "1", "unavailable")}


def test_health_is_answered_while_all_threads_wait_behind_a_lock(checkout: Checkout) -> None:
    with waiters(checkout, "users") as waiting, ThreadPoolExecutor(WAITERS) as pool:
        for _ in range(WAITERS):  # These wait, too, where readers wait for who locks a table.
            pool.submit(urllib.request.urlopen, f"{checkout.base}/api/v1/posts", timeout=30)
        time.sleep(0.5)
        assert 0 < longest_answer(checkout, "/health", waiting) < AT_ONCE
