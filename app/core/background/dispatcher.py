"""Work outside of requests: Celery, made by the application factory, and the bell that calls its workers.

What is to be done stands in the database, written in the transaction that asks for it. A message of the broker is only
a bell: it carries a name and an id, may be lost, and may come twice; the scheduler messages again for what is not done.
"""

import contextlib
import logging
import os
import queue
import threading
import time
from typing import Any, TypeAlias

from celery import Task
from celery.signals import setup_logging
from flask import Flask, current_app
from kombu.entity import Queue
from kombu.exceptions import KombuError

from app.core.unit_of_work import after_commit
from app.extensions import celery

log = logging.getLogger(__name__)

MAX_QUEUED = 1_000  # messages that wait for a slow broker; of more, the scheduler makes up for the loss
BROKER_TIMEOUT = 1  # seconds
BATCH_INTERVAL = 0.1  # seconds between two batches: to publish a message takes as long as ten statements
QUEUE = "agora"
HARD_LIMIT_GRACE = 30  # seconds between the limit that a job can answer and the one that kills its process

Messages: TypeAlias = "queue.Queue[tuple[str, tuple[int, ...]]]"

_messages: Messages = queue.Queue(MAX_QUEUED)
_publisher: threading.Thread | None = None
_lock = threading.Lock()


def init_app(app: Flask) -> None:
    """Make Celery's tasks run in the context of ``app``, and its messages go to the broker of the settings."""

    class ContextTask(Task):  # type: ignore[misc]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with app.app_context():
                return self.run(*args, **kwargs)

    limit = app.config["JOB_TIME_LIMIT"]
    celery.Task = ContextTask
    celery.conf.update(
        broker_url=app.config["BROKER_URL"] or "memory://",
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=BROKER_TIMEOUT,
        broker_transport_options={"socket_timeout": BROKER_TIMEOUT, "socket_connect_timeout": BROKER_TIMEOUT},
        task_default_queue=QUEUE,
        # A ring needs no receipt. One that a frozen broker does not take would count as unanswered for ever, and the
        # worker, who waits for it before the next, would be deaf from then on.
        task_queues=(Queue(QUEUE, no_ack=True),),  # type: ignore[no-untyped-call]
        task_ignore_result=True,
        task_soft_time_limit=limit,
        task_time_limit=limit + HARD_LIMIT_GRACE,
        worker_concurrency=app.config["WORKER_CONCURRENCY"],
        beat_scheduler="celery.beat:Scheduler",  # One that keeps no file: two of them do no harm.
    )
    app.extensions["celery"] = celery
    celery.set_default()


def publish(task: str, *ids: int) -> None:
    """Have a worker run ``task``, a Celery task by its name, when the unit of work under way has committed.

    Returns at once and never fails, whatever state the broker is in.
    """
    after_commit(lambda: _enqueue(task, ids))


def _enqueue(task: str, ids: tuple[int, ...]) -> None:
    if not current_app.config["BROKER_URL"]:
        return
    with contextlib.suppress(queue.Full, RuntimeError):  # No room in the queue, or no thread to be had.
        _messages.put_nowait((task, ids))
        _start_publisher()


def _start_publisher() -> None:
    """Publish in a thread of its own, so that a broker that is slow, frozen or away keeps no request waiting."""
    global _publisher
    with _lock:
        if _publisher is None:
            publisher = threading.Thread(target=_publish_all, args=(_messages,), name="publisher", daemon=True)
            publisher.start()
            _publisher = publisher


def _publish_all(messages: Messages) -> None:
    answers = True
    while True:
        for task, ids in _next_batch(messages):
            try:
                celery.send_task(task, ids, retry=False)
                answers = True
            except Exception as error:  # Whatever it is, the next ring may succeed.
                if answers:
                    log.warning("The broker does not answer; the scheduler will ring again: %s", type(error).__name__)
                answers = False
        time.sleep(BATCH_INTERVAL)


def _next_batch(messages: Messages) -> list[tuple[str, tuple[int, ...]]]:
    """Wait for a ring, and return all that have come; one that has come often, as that for events does, once."""
    batch = dict.fromkeys([messages.get()])
    with contextlib.suppress(queue.Empty):
        while True:
            batch[messages.get_nowait()] = None
    return list(batch)


def _forget_publisher() -> None:
    """Let a forked process start a thread of its own: threads are not inherited, locks and queues are."""
    global _publisher, _lock, _messages
    _publisher, _lock, _messages = None, threading.Lock(), queue.Queue(MAX_QUEUED)


os.register_at_fork(after_in_child=_forget_publisher)


def broker_answers() -> bool:
    """Ask the broker whether it is there; it has BROKER_TIMEOUT seconds to answer."""
    if not current_app.config["BROKER_URL"]:
        return False
    try:
        with celery.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=BROKER_TIMEOUT)
    except (KombuError, OSError):
        return False
    return True


@setup_logging.connect
def _keep_our_logging(**_kwargs: Any) -> None:
    """Leave the log as the factory has set it up; with a listener here, Celery does not set up its own."""
