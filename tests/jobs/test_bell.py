"""The bell: brokers of both kinds that are away or say nothing keep nobody waiting."""

import logging
import queue
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.core.background import dispatcher, outbox
from app.core.unit_of_work import unit_of_work
from app.extensions import celery
from app.jobs import service
from tests.client import CheckedClient
from tests.conftest import NO_BROKER, dispose, new_client
from tests.jobs.conftest import FirstHappened
from tests.waiting import until


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts and then says nothing, as a frozen broker does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(params=["redis://127.0.0.1:{}/0", "amqp://guest:guest@127.0.0.1:{}//"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["away", "silent"])
def without_broker(
    request: pytest.FixtureRequest, scheme: str, silent: int, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Flask]:
    """The service with a broker that does not answer, on the database of the tests."""
    url = scheme.format(1 if request.param == "away" else silent)
    monkeypatch.setattr(celery.amqp, "_producer_pool", None)
    other = create_app("testing", {"DATABASE_URL": app.config["DATABASE_URL"], "BROKER_URL": url})
    other.test_client_class = CheckedClient
    logging.getLogger("app").setLevel("CRITICAL")
    yield other
    dispose(other)


def test_readiness_does_not_wait_for_a_broker_that_does_not_answer(without_broker: Flask) -> None:
    answer = new_client(without_broker).get("/health/ready")
    assert (answer.status_code, answer.get_json()["checks"]["broker"]) == (200, False)


def test_a_ring_that_nobody_hears_is_given_up_for_the_next(
    without_broker: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, given_up = celery.send_task, []

    def try_to_send(task: str, ids: tuple[int, ...], **options: Any) -> None:
        try:
            send(task, ids, **options)
        except Exception:
            given_up.append(ids)
            raise

    monkeypatch.setattr(celery, "send_task", try_to_send)
    with without_broker.app_context():
        ids = [unit_of_work(lambda: service.enqueue("purge"))["id"] for _ in range(3)]
    until(lambda: given_up == [(job_id,) for job_id in ids])


def test_one_message_calls_for_all_events(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    messages: dispatcher.Messages = queue.Queue()
    monkeypatch.setitem(app.config, "BROKER_URL", NO_BROKER)
    monkeypatch.setattr(dispatcher, "_messages", messages)
    monkeypatch.setattr(dispatcher, "_start_publisher", bool)
    with app.app_context():
        unit_of_work(lambda: outbox.emit(FirstHappened()))
        job_id = unit_of_work(lambda: service.enqueue("purge"))["id"]
        unit_of_work(lambda: outbox.emit(FirstHappened()))
    assert dispatcher._next_batch(messages) == [(outbox.DELIVER, ()), (service.RUN, (job_id,))]
    assert messages.empty()


def test_the_bell_is_not_rung_for_each_of_many_events(monkeypatch: pytest.MonkeyPatch) -> None:
    messages: dispatcher.Messages = queue.Queue()
    sent: list[str] = []
    monkeypatch.setattr(celery, "send_task", lambda task, _ids, **_options: sent.append(task))
    threading.Thread(target=dispatcher._publish_all, args=(messages,), daemon=True).start()
    for _ in range(20):
        messages.put((outbox.DELIVER, ()))
        time.sleep(0.005)
    messages.put(("the last one", ()))
    until(lambda: "the last one" in sent)
    assert 1 <= sent.count(outbox.DELIVER) < 20


def test_more_rings_than_the_bell_can_keep_are_left_to_the_scheduler(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "BROKER_URL", NO_BROKER)
    monkeypatch.setattr(dispatcher, "_messages", queue.Queue(2))
    monkeypatch.setattr(dispatcher, "_start_publisher", bool)
    with app.app_context():
        ids = [unit_of_work(lambda: service.enqueue("purge"))["id"] for _ in range(3)]
    assert [dispatcher._messages.get_nowait() for _ in range(2)] == [(service.RUN, (job_id,)) for job_id in ids[:2]]
    assert dispatcher._messages.empty()
