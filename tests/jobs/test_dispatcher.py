"""The dispatcher: brokers of both kinds that are away or say nothing keep nobody waiting."""

import logging
import queue
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.core.background import dispatcher, outbox
from app.core.background.dispatcher import DEFAULT_QUEUE, MAIL_QUEUE, QUEUES
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


def test_a_message_that_the_broker_does_not_take_is_given_up_for_the_next(
    without_broker: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, given_up = celery.send_task, []

    def try_to_send(task: str, arguments: tuple[str, ...], **options: Any) -> None:
        try:
            send(task, arguments, **options)
        except Exception:
            given_up.append(arguments)
            raise

    monkeypatch.setattr(celery, "send_task", try_to_send)
    with without_broker.app_context():
        for kind in ("purge", "email"):
            unit_of_work(partial(service.enqueue, kind))
    until(lambda: given_up == [(queue,) for queue in QUEUES])


WAKE, DELIVER = (service.RUN, (DEFAULT_QUEUE,), DEFAULT_QUEUE), (outbox.DELIVER, (), DEFAULT_QUEUE)


@pytest.fixture
def messages(app: Flask, monkeypatch: pytest.MonkeyPatch) -> dispatcher.Messages:
    """The messages of this process, which nobody publishes."""
    waiting: dispatcher.Messages = queue.Queue(2)
    monkeypatch.setitem(app.config, "BROKER_URL", NO_BROKER)
    monkeypatch.setattr(dispatcher, "_messages", waiting)
    monkeypatch.setattr(dispatcher, "_start_publisher", bool)
    return waiting


def test_one_message_is_published_for_all_jobs_or_events_of_a_moment(app: Flask, messages: dispatcher.Messages) -> None:
    messages.maxsize = 0
    with app.app_context():
        for _ in range(2):
            unit_of_work(lambda: outbox.emit(FirstHappened()))
            unit_of_work(lambda: service.enqueue("purge"))
    assert dispatcher._next_batch(messages) == [DELIVER, WAKE]
    assert messages.empty()


def test_no_message_is_published_for_each_of_many_events(monkeypatch: pytest.MonkeyPatch) -> None:
    messages: dispatcher.Messages = queue.Queue()
    sent: list[str] = []
    monkeypatch.setattr(celery, "send_task", lambda task, _arguments, **_options: sent.append(task))
    threading.Thread(target=dispatcher._publish_all, args=(messages,), daemon=True).start()
    for _ in range(20):
        messages.put(DELIVER)
        time.sleep(0.005)
    messages.put(WAKE)
    until(lambda: service.RUN in sent)
    assert 1 <= sent.count(outbox.DELIVER) < 20


def test_more_messages_than_can_be_kept_are_left_to_the_scheduler(app: Flask, messages: dispatcher.Messages) -> None:
    with app.app_context():
        for _ in range(3):
            unit_of_work(lambda: service.enqueue("purge"))
    assert [messages.get_nowait() for _ in range(2)] == [WAKE, WAKE]
    assert messages.empty()


def test_a_message_goes_to_its_queue_and_does_not_outlive_the_next_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    messages: dispatcher.Messages = queue.Queue()
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(celery, "send_task", lambda *_message, **options: sent.append(options))
    threading.Thread(target=dispatcher._publish_all, args=(messages,), daemon=True).start()
    messages.put((service.RUN, (MAIL_QUEUE,), MAIL_QUEUE))
    assert until(lambda: sent) == [{"queue": MAIL_QUEUE, "expires": 60, "retry": False}]
