"""What goes on while it is deployed anew, and while a part of it is away."""

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from signal import SIGHUP, SIGTERM

import pytest
import requests
from sqlalchemy import create_engine, text

from deploy.stack import Stack
from tests.waiting import until

CLIENTS = 6
POST = {"title": "Hello", "content": "Under load"}


def under_load(stack: Stack, token: str, happens: Callable[[], None]) -> Counter[tuple[str, int | str]]:
    """Read and write, each without a pause, while something ``happens``; count the answers by method and status."""
    seen: Counter[tuple[str, int | str]] = Counter()
    over = threading.Event()

    def ask(method: str) -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {token}"
            while not over.is_set():
                body = POST if method == "POST" else None
                try:
                    answer = session.request(method, f"{stack.url}/api/v1/posts", json=body, timeout=40)
                    seen[method, answer.status_code] += 1
                except requests.RequestException as error:
                    seen[method, repr(error)] += 1

    with ThreadPoolExecutor(CLIENTS) as pool:
        asking = [pool.submit(ask, ("GET", "POST")[number % 2]) for number in range(CLIENTS)]
        try:
            happens()
        finally:
            over.set()
        for client in asking:
            client.result()
    return seen


def assert_none_failed(seen: Counter[tuple[str, int | str]]) -> None:
    assert set(seen) == {("GET", 200), ("POST", 201)}


def test_a_reload_under_load_fails_no_request(stack: Stack, token: str) -> None:
    def reload() -> None:
        for _ in range(2):
            for name in stack.web_ports:
                stack.processes[name].signal(SIGHUP)
                time.sleep(2)

    assert_none_failed(under_load(stack, token, reload))


def test_a_rolling_restart_under_load_fails_no_request(stack: Stack, token: str) -> None:
    def restart() -> None:
        for name, port in stack.web_ports.items():
            stack.processes[name].stop()
            stack.processes[name].start()
            stack.wait_until_ready(f"http://127.0.0.1:{port}")

    assert_none_failed(under_load(stack, token, restart))


def test_one_instance_is_enough(stack: Stack, member: requests.Session) -> None:
    web = stack.processes["web1"]
    web.stop()
    try:
        for _ in range(20):
            assert member.get(f"{stack.url}/api/v1/posts", timeout=10).status_code == 200
            assert member.post(f"{stack.url}/api/v1/posts", json=POST, timeout=10).status_code == 201
    finally:
        web.start()
        stack.wait_until_ready(f"http://127.0.0.1:{stack.web_ports['web1']}")


def test_a_request_under_way_is_finished_before_its_process_ends(stack: Stack, member: requests.Session) -> None:
    """A lock on the table holds the request up, while Gunicorn is told to stop."""
    web, port = stack.processes["web2"], stack.web_ports["web2"]
    engine = create_engine(stack.database_url)
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    afresh = engine.execution_options(isolation_level="AUTOCOMMIT")  # A transaction sees the activity of one moment.
    with ThreadPoolExecutor(2) as pool, engine.connect() as connection, afresh.connect() as watching:
        connection.execute(text("LOCK TABLE posts IN ACCESS EXCLUSIVE MODE"))
        answer = pool.submit(member.post, f"http://127.0.0.1:{port}/api/v1/posts", json=POST, timeout=40)
        until(lambda: watching.scalar(waiting))
        stopped = pool.submit(web.stop, SIGTERM)
        until(lambda: not accepts(port))
        assert not answer.done()
        connection.rollback()
        assert answer.result().status_code == 201
        stopped.result()
    engine.dispose()
    web.start()
    stack.wait_until_ready(f"http://127.0.0.1:{port}")


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionError:
        return False
    return True


def is_left(group: int) -> bool:
    """Return whether there is a process of a group."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("name", ["web1", "worker", "mailer", "scheduler", "redis", "postgres", "nginx"])
def test_what_dies_is_started_again(stack: Stack, name: str) -> None:
    process = stack.processes[name]
    before = process.pid
    process.signal(9)
    for _ in range(100):
        if process.pid != before and process.is_alive and not is_left(before):
            break
        time.sleep(0.1)
    assert process.pid != before
    assert not is_left(before)
    stack.wait_until_ready(stack.url)
