"""Kinds of jobs that do what a test wants, members who watch them, and a clock that can be put forward."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app.core import clock
from app.core.background import outbox
from app.core.unit_of_work import unit_of_work
from app.jobs import kinds, runner, tasks
from app.jobs.kinds import JobKind, Run

Json = dict[str, Any]
Later = Callable[[float], None]
Listeners = dict[str, tuple[outbox.Listener, ...]]


@pytest.fixture
def known(app: Flask, monkeypatch: pytest.MonkeyPatch) -> dict[str, JobKind]:
    """The kinds of jobs that the worker knows, for this test; on no timetable yet."""
    found: dict[str, JobKind] = {}
    monkeypatch.setitem(app.extensions, kinds.EXTENSION, found)
    return found


@pytest.fixture
def listeners(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Listeners:
    """Who hears of which event, for this test."""
    found: Listeners = {}
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
def due(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the bell is due for, after the commit: the tasks and their ids."""
    heard: list[tuple[Any, ...]] = []
    monkeypatch.setattr("app.core.background.dispatcher._enqueue", lambda task, ids: heard.append((task, *ids)))
    return heard


@pytest.fixture
def tick(app: Flask) -> Callable[[], None]:
    """Do what the scheduler calls for every few seconds."""

    def once() -> None:
        with app.app_context():
            tasks.tick.run()

    return once


@pytest.fixture
def emit(app: Flask) -> Callable[..., None]:
    """Let something happen, in a unit of work of its own."""

    def happen(name: str, /, **payload: Any) -> None:
        with app.app_context():
            unit_of_work(lambda: outbox.emit(name, **payload))

    return happen


def run(app: Flask, job_id: int) -> None:
    """Do one job, as a worker that hears the bell does."""
    with app.app_context():
        runner.run(job_id)


def nothing(_run: Run) -> None:
    """Succeed at once."""
