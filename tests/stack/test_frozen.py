"""What is frozen, and says neither yes nor no, holds nobody up for long; what is merely slow is waited for."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import requests
from sqlalchemy import create_engine, text

from deploy.drill.faults import family, freeze
from deploy.drill.report import RECOVERS_WITHIN
from deploy.stack import Stack
from tests.stack.test_deployments import assert_none_failed, under_load
from tests.waiting import until

CLIENTS = 40  # more than the stack has threads


def state_of(pid: int) -> str:
    """Return the letter for what a process does; T: it is stopped (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]


@contextmanager
def frozen(stack: Stack, name: str, *, seconds: float) -> Iterator[Callable[[], None]]:
    """Freeze a program with all its processes, and return what waits until it goes on."""
    thread = threading.Thread(target=freeze(name, seconds), args=(stack,))
    thread.start()
    try:
        until(lambda: all(state_of(pid) == "T" for pid in family(stack.processes[name].pid)))
        yield thread.join
    finally:
        thread.join()


def test_a_frozen_gunicorn_answers_when_it_goes_on_whatever_waits_for_it(stack: Stack, token: str) -> None:
    """It is frozen for longer than it keeps an idle connection, on which Nginx may have sent a request."""
    for name in stack.web_ports:
        assert_none_failed(under_load(stack, token, lambda name=name: freeze(name, 7)(stack)))  # type: ignore[misc]


def test_with_a_frozen_database_it_is_503_soon_and_then_at_once_and_goes_on_by_itself(stack: Stack) -> None:
    def status(_number: int) -> int:
        return requests.get(f"{stack.url}/api/v1/posts", timeout=40).status_code

    with frozen(stack, "postgres", seconds=16) as until_it_goes_on, ThreadPoolExecutor(CLIENTS) as pool:
        assert set(pool.map(status, range(CLIENTS))) == {503}
        known = time.monotonic()
        refused = list(pool.map(status, range(CLIENTS)))
        assert set(refused) == {503}
        assert time.monotonic() - known < 8  # seconds; to wait for each would be twice that and more
        assert requests.get(f"{stack.url}/health", timeout=5).status_code == 200
        until_it_goes_on()
        end = time.monotonic() + RECOVERS_WITHIN
        while set(pool.map(status, range(CLIENTS))) != {200}:
            assert time.monotonic() < end
            time.sleep(0.1)


def test_a_statement_that_is_merely_slow_is_waited_for(stack: Stack) -> None:
    engine = create_engine(stack.database_url)
    with ThreadPoolExecutor(1) as pool, engine.connect() as connection:
        connection.execute(text("LOCK TABLE posts IN ACCESS EXCLUSIVE MODE"))
        waiting = pool.submit(requests.get, f"{stack.url}/api/v1/posts", timeout=10)
        time.sleep(3.5)
        assert not waiting.done()
        connection.rollback()
        assert waiting.result().status_code == 200
    engine.dispose()
