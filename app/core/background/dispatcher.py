"""Work outside of requests: Celery, made by the application factory, and the messages that wake its workers.

What is to be done stands in the database, written in the transaction that asks for it. A message of the broker only
wakes a worker, which then asks the database; it may be lost, and may come twice. The scheduler sends one to each queue
every few seconds, which makes up for all that were lost.
"""

import contextlib
import logging
import os
import queue as queues
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
MESSAGE_LIFETIME = 60  # seconds after which a message that no worker has taken is dropped: there are newer ones
DEFAULT_QUEUE = "agora"
MAIL_QUEUE = "agora-mail"  # of workers of its own: a slow mail server delays mails alone
QUEUES = (DEFAULT_QUEUE, MAIL_QUEUE)
HARD_LIMIT_GRACE = 30  # seconds between the limit that a job can answer and the one that kills its process

Message: TypeAlias = tuple[str, tuple[str, ...], str]  # the task, its arguments, the queue
Messages: TypeAlias = "queues.Queue[Message]"

_messages: Messages = queues.Queue(MAX_QUEUED)
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
        # A Redis that a failover has made a replica answers with errors (READONLY): connect anew, and do not end.
        broker_channel_error_retry=True,
        broker_transport_options={"socket_timeout": BROKER_TIMEOUT, "socket_connect_timeout": BROKER_TIMEOUT},
        task_default_queue=DEFAULT_QUEUE,
        # A message needs no receipt. One that a frozen broker does not take would count as unanswered for ever, and the
        # worker, who waits for it before the next, would be deaf from then on.
        task_queues=tuple(Queue(name, no_ack=True) for name in QUEUES),  # type: ignore[no-untyped-call]
        task_ignore_result=True,
        task_soft_time_limit=limit,
        task_time_limit=limit + HARD_LIMIT_GRACE,
        worker_concurrency=app.config["WORKER_CONCURRENCY"],
        beat_scheduler="app.core.background.scheduler:InProcessScheduler",
    )
    app.extensions["celery"] = celery
    celery.set_default()


def publish(task: str, *arguments: str, queue: str = DEFAULT_QUEUE) -> None:
    """Have a worker of ``queue`` run ``task``, a Celery task by its name, when the unit of work has committed.

    Returns at once and never fails, whatever state the broker is in.
    """
    after_commit(lambda: _enqueue((task, arguments, queue)))


def _enqueue(message: Message) -> None:
    if not current_app.config["BROKER_URL"]:
        return
    with contextlib.suppress(queues.Full, RuntimeError):  # No room in the queue, or no thread to be had.
        _messages.put_nowait(message)
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
        for task, arguments, queue in _next_batch(messages):
            try:
                celery.send_task(task, arguments, queue=queue, expires=MESSAGE_LIFETIME, retry=False)
                answers = True
            except Exception as error:  # Whatever it is, the next message may succeed.
                if answers:
                    log.warning(
                        "The broker does not answer; the scheduler will publish again: %s", type(error).__name__
                    )
                answers = False
        time.sleep(BATCH_INTERVAL)


def _next_batch(messages: Messages) -> list[Message]:
    """Wait for a message, and return all that have come, each once."""
    batch = dict.fromkeys([messages.get()])
    with contextlib.suppress(queues.Empty):
        while True:
            batch[messages.get_nowait()] = None
    return list(batch)


def _forget_publisher() -> None:
    """Let a forked process start a thread of its own: threads are not inherited, locks and queues are."""
    global _publisher, _lock, _messages
    _publisher, _lock, _messages = None, threading.Lock(), queues.Queue(MAX_QUEUED)


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
