"""What the scheduler looks after: the timetable, bells that nobody has heard, and what has had its time."""

import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.core import clock
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.jobs import runner, service
from app.jobs.kinds import JobFailed, JobKind, Run
from app.jobs.models import QUEUED, RUNNING, SUCCEEDED, Job
from app.registry import KINDS, purge
from tests.client import CheckedClient
from tests.conftest import AsUser, ask_for_job
from tests.jobs.conftest import FirstHappened, Later, nothing

Tick = Callable[[], None]
Rung = list[tuple[Any, ...]]

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


def test_the_bell_rings_after_the_commit_and_never_for_what_was_not_kept(
    app: Flask, as_user: AsUser, due: Rung
) -> None:
    member = as_user()

    def refused() -> None:
        service.enqueue("purge", user_id=member.user_id)
        raise JobFailed("x", "y")

    with app.app_context(), pytest.raises(JobFailed):
        unit_of_work(refused)
    assert due == []
    job_id = ask_for_job(member)
    assert due == [(service.RUN, job_id)]


def test_a_bell_that_nobody_has_heard_rings_again_but_not_all_the_time(
    as_user: AsUser, known: dict[str, JobKind], tick: Tick, due: Rung, later: Later
) -> None:
    known["test.waits"] = JobKind("test.waits", nothing)
    call = (service.RUN, ask_for_job(as_user(), "test.waits"))
    assert due == [call]
    for seconds, messages in ((0, 1), (29, 1), (2, 2), (0, 2), (31, 3)):
        later(seconds)
        tick()
        assert due == [call] * messages


def test_a_job_whose_worker_is_gone_is_called_for_again(
    app: Flask, as_user: AsUser, known: dict[str, JobKind], tick: Tick, due: Rung, later: Later
) -> None:
    known["test.dies"] = JobKind("test.dies", nothing)
    job_id = ask_for_job(as_user(), "test.dies")
    with app.app_context():
        unit_of_work(lambda: runner._claim(job_id))
    due.clear()
    later(29)
    tick()
    assert due == []
    later(2)
    tick()
    assert due == [(service.RUN, job_id)]


def test_a_job_that_rests_after_a_failure_is_called_for_when_it_is_due(
    as_user: AsUser, known: dict[str, JobKind], tick: Tick, work: Tick, due: Rung, later: Later
) -> None:
    done: list[int] = []

    def perform(run: Run) -> None:
        done.append(run.attempt)
        if run.attempt == 1:
            raise RuntimeError

    known["test.rests"] = JobKind("test.rests", perform)
    job_id = ask_for_job(as_user(), "test.rests")
    work()
    due.clear()
    tick()
    assert due == []
    later(3)
    tick()
    assert due == [(service.RUN, job_id)]
    work()
    assert done == [1, 2]
    due.clear()
    later(HOUR)
    tick()
    assert due == []


@pytest.mark.usefixtures("known")
def test_events_that_wait_are_called_for(tick: Tick, emit: Callable[[FirstHappened], None], due: Rung) -> None:
    tick()
    assert due == []
    emit(FirstHappened())
    due.clear()
    tick()
    assert due == [("outbox.deliver",)]


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
    app: Flask, client: CheckedClient, known: dict[str, JobKind], tick: Tick, later: Later
) -> None:
    def told() -> tuple[int, bool, list[str]]:
        answer = client.get("/health/ready")
        return answer.status_code, answer.get_json()["checks"]["worker"], answer.get_json()["degraded"]

    assert told() == (200, False, ["worker", "broker"])
    tick()
    assert told() == (200, True, ["broker"])
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
