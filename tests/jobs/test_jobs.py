"""Jobs as their owner sees them: watched, listed, cancelled, and ended with a reason."""

import errno
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from flask import Flask

from app.core.background.dispatcher import DEFAULT_QUEUE
from app.core.errors import ServiceUnavailable
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.jobs import claims, runner
from app.jobs.kinds import JobFailed, JobKind, Run
from app.jobs.models import Job
from tests.client import CheckedClient
from tests.conftest import AsUser, ask_for_job
from tests.jobs.conftest import Json, Later, nothing, run
from tests.waiting import until

Work = Callable[[], None]

JOBS = "/api/v1/jobs"
INTERNAL = {"code": "internal_error", "message": "Something went wrong on our side. Try again later."}
FULL = {"code": "storage_unavailable", "message": "There is no room for files for the moment. Try again."}
AWAY = {"code": "storage_unavailable", "message": "The files are away."}


@pytest.fixture
def member(as_user: AsUser) -> CheckedClient:
    return as_user()


@pytest.fixture
def short_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "BEAT", 0.01)


def watch(member: CheckedClient, job_id: int) -> Json:
    answer = member.get(f"{JOBS}/{job_id}")
    assert answer.status_code == 200
    body: Json = answer.get_json()
    return body


def stored(app: Flask, job_id: int) -> Job:
    with app.app_context():
        return db.session.get_one(Job, job_id)


def change(app: Flask, job_id: int, **values: Any) -> None:
    def work() -> None:
        for name, value in values.items():
            setattr(db.session.get_one(Job, job_id), name, value)

    with app.app_context():
        unit_of_work(work)


def test_a_job_is_watched_from_the_queue_to_its_result(
    app: Flask, member: CheckedClient, known: dict[str, JobKind], work: Work
) -> None:
    seen: list[Json] = []

    def perform(run: Run) -> Json:
        seen.append(watch(member, run.job_id))
        run.progress(3, 4)
        return {"greeting": run.params["greeting"], "of": run.user_id}

    known["test.hello"] = JobKind("test.hello", perform)
    job_id = ask_for_job(member, "test.hello", greeting="hej")
    queued = watch(member, job_id)
    assert queued == {
        "id": job_id, "kind": "test.hello", "status": "queued", "progress": {"done": 0, "total": None},
        "result": None, "result_url": None, "error": None, "created_at": queued["created_at"],
        "started_at": None, "finished_at": None,
    }  # fmt: skip
    work()
    running, succeeded = seen[0], watch(member, job_id)
    assert running == queued | {"status": "running", "started_at": running["started_at"]}
    assert queued["created_at"] <= running["started_at"] <= succeeded["finished_at"]
    assert succeeded == running | {
        "status": "succeeded", "progress": {"done": 3, "total": 4},
        "result": {"greeting": "hej", "of": member.user_id}, "finished_at": succeeded["finished_at"],
    }  # fmt: skip


def test_the_jobs_of_others_do_not_exist(as_user: AsUser, member: CheckedClient) -> None:
    job_id = ask_for_job(member)
    for stranger in (as_user(), as_user("admin")):
        assert stranger.get(f"{JOBS}/{job_id}").status_code == 404
        assert stranger.post(f"{JOBS}/{job_id}/cancellation").status_code == 404
        assert stranger.get(JOBS).get_json()["jobs"] == []
    assert watch(member, job_id)["status"] == "queued"


def test_the_service_s_own_jobs_are_nobody_s(as_user: AsUser, known: dict[str, JobKind], tick: Work) -> None:
    known["test.hourly"] = JobKind("test.hourly", nothing, every=timedelta(hours=1))
    tick()
    assert as_user("admin").get(JOBS).get_json()["total"] == 0


def test_jobs_are_found_by_kind_and_status(member: CheckedClient, known: dict[str, JobKind], work: Work) -> None:
    known |= {name: JobKind(name, nothing) for name in ("test.one", "test.two")}
    done = [ask_for_job(member, kind) for kind in ("test.one", "test.two")]
    work()
    waiting = ask_for_job(member, "test.two")

    def found(**query: str) -> list[int]:
        return [job["id"] for job in member.get(JOBS, query_string=query).get_json()["jobs"]]

    assert found() == [waiting, *reversed(done)]
    assert found(sort="created_at") == [*done, waiting]
    assert found(kind="test.two") == [waiting, done[1]]
    assert found(status="succeeded", kind="test.two") == [done[1]]
    assert found(status__in="failed,queued") == [waiting]


def test_a_job_that_waits_is_cancelled_at_once(member: CheckedClient, known: dict[str, JobKind], work: Work) -> None:
    done: list[Run] = []
    known["test.wait"] = JobKind("test.wait", done.append)
    job_id = ask_for_job(member, "test.wait")
    answer = member.post(f"{JOBS}/{job_id}/cancellation")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "cancelled")
    assert answer.get_json()["finished_at"]
    work()
    assert (done, watch(member, job_id)) == ([], answer.get_json())


@pytest.mark.usefixtures("short_beats")
def test_a_job_that_runs_stops_where_it_next_tells_its_progress(
    member: CheckedClient, known: dict[str, JobKind], work: Work
) -> None:
    answers: list[Json] = []

    def perform(run: Run) -> None:
        answers.append(member.post(f"{JOBS}/{run.job_id}/cancellation").get_json())
        until(lambda: run.cancelled)
        run.progress(7)
        answers.append({"status": "went on"})

    known["test.long"] = JobKind("test.long", perform)
    job_id = ask_for_job(member, "test.long")
    work()
    assert [answer["status"] for answer in answers] == ["running"]
    ended = watch(member, job_id)
    assert (ended["status"], ended["progress"]["done"], ended["error"]) == ("cancelled", 7, None)
    refused = member.post(f"{JOBS}/{job_id}/cancellation")
    assert (refused.status_code, refused.get_json()["code"]) == (409, "job_finished")


def test_a_job_that_was_cancelled_when_its_worker_died_is_not_taken_up_again(
    app: Flask, member: CheckedClient, known: dict[str, JobKind], later: Later
) -> None:
    attempts: list[Run] = []
    known["test.dies"] = JobKind("test.dies", attempts.append)
    job_id = ask_for_job(member, "test.dies")
    with app.app_context():
        unit_of_work(lambda: claims.claim_next(DEFAULT_QUEUE))
    assert member.post(f"{JOBS}/{job_id}/cancellation").get_json()["status"] == "running"
    later(31)
    run(app)
    assert (attempts, watch(member, job_id)["status"]) == ([], "cancelled")


@pytest.mark.usefixtures("short_beats")
def test_deleting_a_member_erases_the_jobs_and_stops_the_one_that_runs(
    app: Flask, as_user: AsUser, known: dict[str, JobKind], work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    member, went_on = as_user(), []

    def perform(run: Run) -> None:
        assert member.delete(f"/api/v1/users/{member.user_id}").status_code == 204
        until(lambda: run.lost)
        run.progress(1)
        went_on.append(run)

    known["test.erased"] = JobKind("test.erased", perform)
    ids = [ask_for_job(member, "test.erased") for _ in range(2)]
    caplog.set_level(logging.WARNING, "app")
    work()
    with app.app_context():
        assert [db.session.get(Job, job_id) for job_id in ids] == [None, None]
    assert (went_on, [record.getMessage() for record in caplog.records]) == ([], [f"Job {ids[0]} was taken over"])


def test_a_job_that_raises_is_tried_again_ever_later_and_then_fails_without_telling_why(
    member: CheckedClient, known: dict[str, JobKind], work: Work, later: Later
) -> None:
    attempts: list[int] = []

    def perform(run: Run) -> None:
        attempts.append(run.attempt)
        raise RuntimeError("secret")

    logging.getLogger("app").setLevel("CRITICAL")
    known["test.breaks"] = JobKind("test.breaks", perform)
    job_id = ask_for_job(member, "test.breaks")
    for tried, pause in (([1], 1), ([1], 2), ([1, 2], 2), ([1, 2], 3), ([1, 2, 3], 3600)):
        work()
        assert attempts == tried
        waiting = watch(member, job_id)
        assert (waiting["status"], waiting["error"]) == (("queued", None) if len(tried) < 3 else ("failed", INTERNAL))
        later(pause)
    work()
    assert attempts == [1, 2, 3]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/secret/path"), FULL),
        (ServiceUnavailable("The files are away.", code="storage_unavailable"), AWAY),
        (OSError(errno.EACCES, "Permission denied", "/secret/path"), INTERNAL),
    ],
    ids=["the disk is full", "the storage is away", "anything else"],
)
def test_a_job_that_ends_since_a_part_is_away_or_full_says_so(
    member: CheckedClient, known: dict[str, JobKind], work: Work, error: Exception, told: Json
) -> None:
    def perform(_run: Run) -> None:
        raise error

    logging.getLogger("app").setLevel("CRITICAL")
    known["test.away"] = JobKind("test.away", perform, attempts=1)
    job_id = ask_for_job(member, "test.away")
    work()
    assert (watch(member, job_id)["status"], watch(member, job_id)["error"]) == ("failed", told)


def test_a_job_that_succeeds_at_the_second_attempt_shows_nothing_of_the_first(
    member: CheckedClient, known: dict[str, JobKind], work: Work, later: Later
) -> None:
    def perform(run: Run) -> Json:
        if run.attempt == 1:
            raise RuntimeError
        return {"attempt": run.attempt}

    logging.getLogger("app").setLevel("CRITICAL")
    known["test.twice"] = JobKind("test.twice", perform)
    job_id = ask_for_job(member, "test.twice")
    work()
    later(3)
    work()
    ended = watch(member, job_id)
    assert (ended["status"], ended["result"], ended["error"]) == ("succeeded", {"attempt": 2}, None)


@pytest.mark.parametrize("message", ["Line 3 has no price.", "\u00e4" * 700])
def test_a_job_that_cannot_be_done_fails_at_once_with_its_reason(
    member: CheckedClient, known: dict[str, JobKind], work: Work, message: str
) -> None:
    def perform(_run: Run) -> None:
        raise JobFailed("no_price", message)

    known["test.cannot"] = JobKind("test.cannot", perform)
    job_id = ask_for_job(member, "test.cannot")
    work()
    ended = watch(member, job_id)
    assert (ended["status"], ended["error"]) == ("failed", {"code": "no_price", "message": message[:500]})


@pytest.mark.parametrize("result", [{"x": object()}, {"x": b"\xff"}, 7])
def test_a_result_that_cannot_be_stored_fails_the_job(
    member: CheckedClient, known: dict[str, JobKind], work: Work, result: Any
) -> None:
    logging.getLogger("app").setLevel("CRITICAL")
    known["test.odd"] = JobKind("test.odd", lambda _run: result, attempts=1)
    job_id = ask_for_job(member, "test.odd")
    work()
    assert (watch(member, job_id)["status"], watch(member, job_id)["error"]) == ("failed", INTERNAL)


def test_a_job_that_takes_too_long_says_so(member: CheckedClient, known: dict[str, JobKind], work: Work) -> None:
    def perform(_run: Run) -> None:
        raise SoftTimeLimitExceeded

    known["test.endless"] = JobKind("test.endless", perform)
    job_id = ask_for_job(member, "test.endless")
    work()
    ended = watch(member, job_id)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "time_limit")


def test_a_job_of_a_kind_that_is_gone_fails_instead_of_being_called_for_ever(
    member: CheckedClient, known: dict[str, JobKind], work: Work
) -> None:
    logging.getLogger("app").setLevel("CRITICAL")
    assert "test.gone" not in known
    job_id = ask_for_job(member, "test.gone")
    work()
    assert (watch(member, job_id)["status"], watch(member, job_id)["error"]) == ("failed", INTERNAL)


def test_an_attempt_whose_lease_ran_out_is_taken_over_and_changes_nothing_any_more(
    app: Flask, member: CheckedClient, known: dict[str, JobKind], later: Later
) -> None:
    attempts: list[int] = []

    def perform(attempt: Run) -> Json:
        attempts.append(attempt.attempt)
        if attempt.attempt == 1:  # and sleeps while another worker does it all
            run(app)
            assert attempts == [1]
            later(31)
            run(app)
            attempt.progress(99, 100)
        return {"attempt": attempt.attempt}

    known["test.sleeps"] = JobKind("test.sleeps", perform)
    job_id = ask_for_job(member, "test.sleeps")
    run(app)
    ended = watch(member, job_id)
    assert (attempts, ended["status"], ended["result"]) == ([1, 2], "succeeded", {"attempt": 2})
    assert ended["progress"] == {"done": 0, "total": None}


def test_an_attempt_that_fails_after_it_was_taken_over_does_not_queue_the_job_again(
    app: Flask, member: CheckedClient, known: dict[str, JobKind], later: Later
) -> None:
    def perform(attempt: Run) -> None:
        if attempt.attempt == 1:
            later(31)
            run(app)
            raise RuntimeError

    logging.getLogger("app").setLevel("CRITICAL")
    known["test.sleeps"] = JobKind("test.sleeps", perform)
    job_id = ask_for_job(member, "test.sleeps")
    run(app)
    assert watch(member, job_id)["status"] == "succeeded"


def test_a_job_that_is_interrupted_too_often_fails_with_a_reason(
    app: Flask, member: CheckedClient, known: dict[str, JobKind], later: Later
) -> None:
    logging.getLogger("app").setLevel("CRITICAL")
    known["test.killer"] = JobKind("test.killer", nothing, attempts=2)
    job_id = ask_for_job(member, "test.killer")
    for _ in range(2):
        with app.app_context():
            assert unit_of_work(lambda: claims.claim_next(DEFAULT_QUEUE))
        later(31)
    run(app)
    ended = watch(member, job_id)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "worker_lost")


def test_a_job_is_done_once_however_often_a_worker_is_woken(
    app: Flask, member: CheckedClient, known: dict[str, JobKind]
) -> None:
    done: list[Run] = []
    known["test.once"] = JobKind("test.once", done.append)
    ask_for_job(member, "test.once")
    for _ in range(3):
        run(app)
    assert len(done) == 1


@pytest.mark.usefixtures("short_beats")
def test_the_progress_and_the_lease_are_stored_by_the_heartbeat_alone(
    app: Flask, member: CheckedClient, known: dict[str, JobKind], count_queries: Callable[[], Any]
) -> None:
    def perform(run: Run) -> None:
        before = stored(app, run.job_id).lease_until
        with count_queries() as statements:
            for number in range(10_000):
                run.progress(number, 10_000)
        assert all(sent.startswith("UPDATE jobs SET lease_until") for sent in statements)
        run.progress(5_000)
        until(lambda: watch(member, run.job_id)["progress"] == {"done": 5_000, "total": 10_000})
        after = stored(app, run.job_id).lease_until
        assert (after or before) > (before or after)  # type: ignore[operator]

    known["test.counts"] = JobKind("test.counts", perform, attempts=1)
    job_id = ask_for_job(member, "test.counts")
    run(app)
    assert watch(member, job_id)["status"] == "succeeded"


def test_the_progress_is_stored_at_most_once_a_second() -> None:
    assert runner.BEAT >= 1
    assert timedelta(seconds=10 * runner.BEAT) < claims.LEASE


def test_a_heartbeat_that_fails_is_made_up_for_by_the_next(
    app: Flask, member: CheckedClient, known: dict[str, JobKind], monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger("app").setLevel("CRITICAL")
    monkeypatch.setattr(runner, "BEAT", 0.01)
    renew, failures = runner._renew, iter([RuntimeError()] * 3)

    def fails_at_first(run: Run) -> None:
        for failure in failures:
            raise failure
        renew(run)

    monkeypatch.setattr(runner, "_renew", fails_at_first)

    def perform(run: Run) -> None:
        run.progress(5)
        until(lambda: watch(member, run.job_id)["progress"]["done"] == 5)

    known["test.shaky"] = JobKind("test.shaky", perform, attempts=1)
    job_id = ask_for_job(member, "test.shaky")
    run(app)
    assert watch(member, job_id)["status"] == "succeeded"


def test_the_worker_s_log_names_the_request_that_has_asked_for_the_job(
    app: Flask, member: CheckedClient, known: dict[str, JobKind], work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    def perform(_run: Run) -> None:
        logging.getLogger("app.test").warning("at work")
        raise RuntimeError

    known["test.logs"] = JobKind("test.logs", perform, attempts=1)
    job_id = ask_for_job(member, "test.logs")
    change(app, job_id, request_id="the-request")
    caplog.set_level(logging.INFO, "app")
    heard = logging.getLogger("app").handlers[0].filters[0]
    caplog.handler.addFilter(heard)
    work()
    lines = {record.getMessage(): record.request_id for record in caplog.records}  # type: ignore[attr-defined]
    caplog.handler.removeFilter(heard)
    assert {"at work", f"Job {job_id} failed", f"Job {job_id} has failed"} <= lines.keys()
    assert set(lines.values()) == {"the-request"}
