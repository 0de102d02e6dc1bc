"""In which order jobs are done: no member's backlog, no kind's, and no late clock keeps others waiting."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app.core import clock
from app.core.background import outbox
from app.core.background.dispatcher import DEFAULT_QUEUE, MAIL_QUEUE
from app.core.background.events import Event, Subscription
from app.core.unit_of_work import unit_of_work
from app.jobs import claims, runner
from app.jobs.kinds import JobKind, Run
from app.jobs.models import Job
from app.jobs.service import enqueue
from tests.conftest import AsUser, ask_for_job
from tests.jobs.conftest import FirstHappened, Later, Subscriptions, nothing, run

Work = Callable[[], None]


@pytest.fixture
def done(known: dict[str, JobKind]) -> list[Any]:
    """What the jobs of the kind test.note were done for, in order."""
    noted: list[Any] = []
    known["test.note"] = JobKind("test.note", lambda run: noted.append(run.params["of"]))
    known["test.mail"] = JobKind("test.mail", lambda run: noted.append(run.params["of"]), queue=MAIL_QUEUE)
    return noted


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let this host's clock be late by so many seconds from now on."""
    real = clock.now

    def be_late(seconds: float) -> None:
        monkeypatch.setattr(clock, "now", lambda: real() - timedelta(seconds=seconds))

    return be_late


def claim(app: Flask, queue: str = DEFAULT_QUEUE) -> Job | None:
    """Take the next job, as a worker does that then goes on with it."""
    with app.app_context():
        return unit_of_work(lambda: claims.claim_next(queue))


def test_a_member_s_backlog_does_not_come_before_another_s_first_job(
    app: Flask, as_user: AsUser, done: list[Any]
) -> None:
    one, other = as_user(), as_user()
    for _ in range(20):
        ask_for_job(one, "test.note", of="one")
    ask_for_job(other, "test.note", of="other")
    for _ in range(3):
        run(app)
    assert sorted(done) == ["one", "one", "other"]
    while run(app):
        pass
    assert len(done) == 21


def test_who_has_asked_long_ago_is_not_overtaken_for_ever(
    app: Flask, as_user: AsUser, done: list[Any], later: Later
) -> None:
    one, other = as_user(), as_user()
    for number in range(3):
        ask_for_job(one, "test.note", of=number)
    later(3600)
    for _ in range(3):
        ask_for_job(other, "test.note", of="other")
    for _ in range(3):
        run(app)
    assert done == [0, 1, 2]


def test_who_still_waits_for_an_old_job_does_not_overtake_others_with_a_new_one(
    app: Flask, as_user: AsUser, done: list[Any], later: Later
) -> None:
    one, other = as_user(), as_user()
    ask_for_job(one, "test.note", of="old")
    later(3600)
    ask_for_job(other, "test.note", of="other")
    later(1)
    ask_for_job(one, "test.note", of="new")
    for _ in range(3):
        run(app)
    assert done == ["old", "other", "new"]


def test_what_a_member_s_doing_has_led_to_counts_as_that_member_s(app: Flask, as_user: AsUser, done: list[Any]) -> None:
    one, other = as_user().user_id, as_user().user_id
    with app.app_context():
        for cause in (one, one, one, other):
            unit_of_work(lambda cause=cause: enqueue("test.note", caused_by_id=cause, params={"of": cause}))  # type: ignore[misc]
    for _ in range(2):
        run(app)
    assert done == [one, other]


def test_a_job_that_failed_does_not_come_before_those_of_others(
    app: Flask, as_user: AsUser, known: dict[str, JobKind], done: list[Any], later: Later
) -> None:
    def fail_once(run: Run) -> None:
        if run.attempt == 1:
            raise RuntimeError
        done.append("one")

    logging.getLogger("app").setLevel("CRITICAL")
    known["test.fails"] = JobKind("test.fails", fail_once)
    one, other = as_user(), as_user()
    ask_for_job(one, "test.fails")
    run(app)
    later(1)
    ask_for_job(other, "test.note", of="other")
    later(2)
    for _ in range(2):
        run(app)
    assert done == ["other", "one"]


def test_one_member_has_one_worker_at_a_time_and_the_service_itself_all(
    app: Flask, as_user: AsUser, known: dict[str, JobKind], later: Later
) -> None:
    known["test.long"] = JobKind("test.long", nothing)
    one, other = as_user(), as_user()
    for member in (one, one, other):
        ask_for_job(member, "test.long")
    taken = [claim(app), claim(app), claim(app)]
    assert [job and job.user_id for job in taken] == [one.user_id, other.user_id, None]
    with app.app_context():
        for _ in range(2):
            unit_of_work(lambda: enqueue("test.long"))
    assert [bool(claim(app)) for _ in range(3)] == [True, True, False]
    later(31)  # The workers are gone: what they had is taken up first.
    again = claim(app)
    assert again
    assert (again.user_id, again.attempts) == (one.user_id, 2)


def test_mails_have_workers_of_their_own(app: Flask, as_user: AsUser, done: list[Any]) -> None:
    member = as_user()
    for _ in range(20):
        ask_for_job(member, "test.mail", of="mail")
    ask_for_job(member, "test.note", of="report")
    assert run(app)
    assert (done, run(app)) == (["report"], False)
    with app.app_context():
        assert runner.run_next(MAIL_QUEUE)
    assert done == ["report", "mail"]


@pytest.mark.parametrize("seconds", [0.3, 4])
def test_a_worker_whose_clock_is_late_does_at_once_what_is_due_at_once(
    app: Flask,
    as_user: AsUser,
    done: list[Any],
    subscriptions: Subscriptions,
    emit: Callable[[Event], None],
    late: Callable[[float], None],
    seconds: float,
) -> None:
    subscriptions.append(Subscription(FirstHappened, lambda _event: done.append("event")))
    ask_for_job(as_user(), "test.note", of="job")
    emit(FirstHappened())
    late(seconds)
    assert run(app)
    with app.app_context():
        outbox.deliver_all()
    assert done == ["job", "event"]


def test_a_scheduler_whose_clock_is_early_asks_for_what_is_done_at_once(
    app: Flask, known: dict[str, JobKind], tick: Work, late: Callable[[float], None]
) -> None:
    known["test.hourly"] = JobKind("test.hourly", nothing, every=timedelta(hours=1))
    tick()
    late(4)
    assert run(app)
