"""Kinds of jobs and events for tests, members who watch them, and a clock that can be put forward."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app.core import clock
from app.core.background import dispatcher, outbox
from app.core.background.dispatcher import DEFAULT_QUEUE
from app.core.background.events import Event, Subscription
from app.core.unit_of_work import unit_of_work
from app.jobs import kinds, runner, tasks
from app.jobs.kinds import JobKind, Run

Json = dict[str, Any]
Later = Callable[[float], None]
Subscriptions = list[Subscription[Any]]


@dataclass(frozen=True, kw_only=True)
class FirstHappened(Event):
    """An event for tests."""

    name = "test.first_happened"

    number: int = 0
    text: str = ""


class SecondHappened(FirstHappened):
    """Another event for tests."""

    name = "test.second_happened"


@pytest.fixture
def known(app: Flask, monkeypatch: pytest.MonkeyPatch) -> dict[str, JobKind]:
    """The kinds of jobs that the worker knows, for this test; on no timetable yet."""
    found: dict[str, JobKind] = {}
    monkeypatch.setitem(app.extensions, kinds.EXTENSION, found)
    return found


@pytest.fixture
def subscriptions(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Subscriptions:
    """Who listens to which event, for this test."""
    found: Subscriptions = []
    monkeypatch.setitem(app.extensions, outbox.EXTENSION, found)
    return found


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Put the service's clock forward by so many seconds."""
    real, passed = clock.now, timedelta()

    def pass_time(seconds: float) -> None:
        nonlocal passed
        passed += timedelta(seconds=seconds)

    monkeypatch.setattr(clock, "now", lambda: real() + passed)
    return pass_time


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[dispatcher.Message]:
    """The messages that are published after the commit: the task, its arguments, the queue."""
    published: list[dispatcher.Message] = []
    monkeypatch.setattr(dispatcher, "_enqueue", published.append)
    return published


@pytest.fixture
def tick(app: Flask) -> Callable[[], None]:
    """Do what the scheduler calls for every few seconds."""

    def once() -> None:
        with app.app_context():
            tasks.tick.run()

    return once


@pytest.fixture
def emit(app: Flask) -> Callable[[Event], None]:
    """Emit an event, in a unit of work of its own."""

    def in_unit_of_work(event: Event) -> None:
        with app.app_context():
            unit_of_work(lambda: outbox.emit(event))

    return in_unit_of_work


def run(app: Flask) -> bool:
    """Do the next job that is due, as a worker that is woken does."""
    with app.app_context():
        return runner.run_next(DEFAULT_QUEUE)


def nothing(_run: Run) -> None:
    """Succeed at once."""
