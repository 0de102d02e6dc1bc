"""What the scheduler looks after: the timetable, messages that were lost, and what has had its time."""

import logging
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.core import clock
from app.core.background import dispatcher, outbox
from app.core.background.dispatcher import DEFAULT_QUEUE, MAIL_QUEUE
from app.core.background.events import Event, Subscription
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.jobs import claims, runner, service, tasks
from app.jobs.kinds import JobFailed, JobKind, Run
from app.jobs.models import QUEUED, RUNNING, SUCCEEDED, Job
from app.registry import KINDS, purge
from tests.client import CheckedClient
from tests.conftest import AsUser, ask_for_job
from tests.jobs.conftest import FirstHappened, Later, Subscriptions, nothing, run

Tick = Callable[[], None]
Published = list[dispatcher.Message]

HOUR = 3600


@pytest.fixture
def hourly(known: dict[str, JobKind]) -> JobKind:
    known["test.hourly"] = JobKind("test.hourly", nothing, every=timedelta(hours=1))
    return known["test.hourly"]


def kinds_in(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(Job.kind).order_by(Job.id)))


@pytest.mark.usefixtures("hourly")
def test_a_kind_on_the_timetable_is_done_once_in_its_period(app: Flask, tick: Tick, work: Tick, later: Later) -> None:
    for periods in (1, 2, 3):
        for _ in range(3):
            tick()
            work()
        assert kinds_in(app) == ["test.hourly"] * periods
        later(HOUR)


@pytest.mark.usefixtures("hourly", "later")
def test_schedulers_that_tick_at_once_ask_for_one_job(app: Flask, tick: Tick) -> None:
    together = Barrier(4)

    def at_once() -> None:
        together.wait()
        tick()

    threads = [Thread(target=at_once) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kinds_in(app) == ["test.hourly"]


def test_what_is_on_the_timetable_can_be_done(app: Flask, tick: Tick, work: Tick) -> None:
    tick()
    work()
    with app.app_context():
        done = dict(db.session.execute(select(Job.kind, Job.status)).all())
    assert done == {kind.name: SUCCEEDED for kind in KINDS if kind.every}


WAKE = (service.RUN, (DEFAULT_QUEUE,), DEFAULT_QUEUE)
WAKE_MAILERS = (service.RUN, (MAIL_QUEUE,), MAIL_QUEUE)


def test_workers_are_woken_after_the_commit_and_never_for_what_was_not_kept(
    app: Flask, as_user: AsUser, published: Published
) -> None:
    member = as_user()

    def refused() -> None:
        service.enqueue("purge", user_id=member.user_id)
        raise JobFailed("x", "y")

    with app.app_context(), pytest.raises(JobFailed):
        unit_of_work(refused)
    assert published == []
    ask_for_job(member)
    assert published == [WAKE]


@pytest.mark.usefixtures("known")
def test_each_tick_wakes_the_workers_of_every_queue_whatever_messages_were_lost(
    tick: Tick, published: Published
) -> None:
    for ticks in (1, 2):
        tick()
        assert published.count(WAKE) == published.count(WAKE_MAILERS) == ticks
        assert published.count((outbox.DELIVER, (), DEFAULT_QUEUE)) == ticks


def test_a_lost_message_is_made_up_for_within_half_a_minute() -> None:
    assert tasks.TICK < 30


def test_who_takes_a_job_wakes_another_worker_for_the_next(
    app: Flask, as_user: AsUser, known: dict[str, JobKind], published: Published
) -> None:
    known["test.waits"] = JobKind("test.waits", nothing)
    ask_for_job(as_user(), "test.waits")
    published.clear()
    assert run(app)
    assert published.count(WAKE) == 1
    published.clear()
    assert not run(app)
    assert published == []


def test_one_message_is_enough_for_many_short_jobs_and_a_new_one_comes_where_it_is_not(
    app: Flask, as_user: AsUser, known: dict[str, JobKind], monkeypatch: pytest.MonkeyPatch, published: Published
) -> None:
    known["test.short"] = JobKind("test.short", nothing)
    member = as_user()
    for left, seconds, messages in ((0, 60.0, 3), (2, -1.0, 2)):
        monkeypatch.setattr(runner, "SLICE", seconds)
        for _ in range(3):
            ask_for_job(member, "test.short")
        published.clear()
        with app.app_context():
            tasks.run.run(DEFAULT_QUEUE)
            waiting = select(func.count()).select_from(Job).where(Job.status == QUEUED)
            assert db.session.scalar(waiting) == left
        assert published.count(WAKE) == messages


def test_a_backlog_of_events_keeps_no_worker_from_the_jobs(
    app: Flask,
    known: dict[str, JobKind],
    subscriptions: Subscriptions,
    emit: Callable[[Event], None],
    monkeypatch: pytest.MonkeyPatch,
    published: Published,
) -> None:
    done: list[str] = []
    known["test.short"] = JobKind("test.short", lambda _run: done.append("job"))
    subscriptions.append(Subscription(FirstHappened, lambda _event: done.append("event")))
    monkeypatch.setattr(outbox, "SLICE", -1.0)
    for _ in range(3):
        emit(FirstHappened())
    with app.app_context():
        unit_of_work(lambda: service.enqueue("test.short"))
        published.clear()
        tasks.deliver.run()
    assert done == ["event", "job"]
    assert published.count((outbox.DELIVER, (), DEFAULT_QUEUE)) == 1


def test_a_job_whose_worker_is_gone_is_taken_up_when_its_lease_has_run_out(
    app: Flask, as_user: AsUser, known: dict[str, JobKind], later: Later
) -> None:
    known["test.dies"] = JobKind("test.dies", nothing)
    ask_for_job(as_user(), "test.dies")
    with app.app_context():
        unit_of_work(lambda: claims.claim_next(DEFAULT_QUEUE))
    later(29)
    assert not run(app)
    later(2)
    assert run(app)


def test_a_job_that_rests_after_a_failure_is_done_when_it_is_due(
    as_user: AsUser, known: dict[str, JobKind], work: Tick, later: Later
) -> None:
    done: list[int] = []

    def perform(run: Run) -> None:
        done.append(run.attempt)
        if run.attempt == 1:
            raise RuntimeError

    logging.getLogger("app").setLevel("CRITICAL")
    known["test.rests"] = JobKind("test.rests", perform)
    ask_for_job(as_user(), "test.rests")
    work()
    work()
    assert done == [1]
    later(3)
    work()
    assert done == [1, 2]
    later(HOUR)
    work()
    assert done == [1, 2]


def test_the_service_forgets_its_own_jobs_after_a_week_and_keeps_its_members(
    app: Flask, as_user: AsUser, known: dict[str, JobKind], hourly: JobKind, tick: Tick, work: Tick, later: Later
) -> None:
    known["test.kept"] = JobKind("test.kept", nothing)
    member = as_user()
    job_id = ask_for_job(member, "test.kept")
    tick()
    work()
    with app.app_context():
        assert unit_of_work(service.purge) == 0
        later(7 * 24 * HOUR)
        assert unit_of_work(service.purge) == 1
    assert kinds_in(app) == ["test.kept"]
    assert member.get(f"/api/v1/jobs/{job_id}").get_json()["status"] == "succeeded"
    tick()
    assert kinds_in(app) == ["test.kept", hourly.name]


def test_readiness_tells_whether_a_worker_was_seen_lately_or_is_busy(
    app: Flask, client: CheckedClient, later: Later
) -> None:
    def told() -> tuple[int, bool, bool]:
        answer = client.get("/health/ready")
        ready = answer.get_json()
        return answer.status_code, ready["checks"]["worker"], "worker" in ready["degraded"]

    assert told() == (200, False, True)
    with app.app_context():
        tasks.report_alive.run()
    assert told() == (200, True, False)
    later(31)
    assert told()[1] is False
    running = {"kind": "x", "params": {}, "due_at": clock.now(), "status": RUNNING}
    with app.app_context():
        unit_of_work(lambda: db.session.add(Job(**running, lease_until=clock.now() + timedelta(seconds=30))))
    assert told()[1] is True
    later(31)
    assert told()[1] is False
    with app.app_context():
        unit_of_work(lambda: db.session.add(Job(**{**running, "status": QUEUED})))
    assert told()[1] is False


def test_readiness_tells_how_long_ago_the_scheduler_was_at_work(
    client: CheckedClient, tick: Tick, later: Later
) -> None:
    def told() -> tuple[int, int | None, bool]:
        answer = client.get("/health/ready")
        return answer.status_code, answer.get_json()["tick_age"], "scheduler" in answer.get_json()["degraded"]

    assert told() == (200, None, True)
    tick()
    later(20)
    status, age, is_degraded = told()
    assert (status, age in (20, 21, 22), is_degraded) == (200, True, False)
    later(20)
    assert told()[2] is True
    tick()
    assert told()[2] is False


def test_what_killed_workers_have_left_on_the_disk_is_removed_after_a_day(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: Later
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "agora-job-left"
    left.mkdir()
    (left / "sent").write_text("name,price")
    (tmp_path / "of-others").mkdir()
    with app.app_context():
        assert purge(Run(1, None, {}, 1, tmp_path))["folders"] == 0
        later(25 * HOUR)
        assert purge(Run(1, None, {}, 1, tmp_path))["folders"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["of-others"]
