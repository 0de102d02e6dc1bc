"""Events: each is heard exactly once by all who listen, or by nobody yet."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, insert, select

from app.core import clock
from app.core.background import outbox
from app.core.background.events import Event, Subscription
from app.core.background.outbox import StoredEvent
from app.core.unit_of_work import roll_back_with, unit_of_work
from app.extensions import db
from app.jobs import service as jobs
from app.jobs.events import JobFinished
from app.jobs.kinds import JobKind
from app.jobs.models import Job
from app.users.models import User
from tests.client import CheckedClient
from tests.conftest import AsUser, ask_for_job
from tests.jobs.conftest import FirstHappened, Later, SecondHappened, Subscriptions, nothing

Work = Callable[[], None]
Emit = Callable[[Event], None]


def add_member(event: FirstHappened) -> None:
    name = event.text
    db.session.execute(insert(User).values(name=name, email=f"{name}@x", email_key=f"{name}@x"))


def members(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(User.name).order_by(User.id)))


def waiting(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(StoredEvent)) or 0


def test_an_event_is_heard_once_by_each_who_listens_in_the_order_of_happening(
    emit: Emit, subscriptions: Subscriptions, work: Work
) -> None:
    heard: list[Any] = []
    subscriptions += [
        Subscription(FirstHappened, lambda event: heard.append(("a", event))),
        Subscription(FirstHappened, lambda event: heard.append(("b", event))),
    ]
    one, two = (FirstHappened(number=number, text="\u00e4") for number in (1, 2))
    emit(one)
    emit(two)
    emit(SecondHappened())
    assert heard == []
    for _ in range(2):
        work()
    assert heard == [("a", one), ("b", one), ("a", two), ("b", two)]


def test_a_listener_that_fails_undoes_the_others_and_all_hear_it_again_later(
    app: Flask, emit: Emit, subscriptions: Subscriptions, work: Work, later: Later
) -> None:
    heard: list[Event] = []

    def fails_twice(event: FirstHappened) -> None:
        heard.append(event)
        if len(heard) < 3:
            raise RuntimeError

    logging.getLogger("app").setLevel("CRITICAL")
    subscriptions += [
        Subscription(FirstHappened, add_member),
        Subscription(FirstHappened, fails_twice),
        Subscription(SecondHappened, add_member),
    ]
    emit(FirstHappened(text="first"))
    emit(SecondHappened(text="second"))  # which is not kept waiting
    for seconds, number in ((0, 1), (1, 1), (2, 2), (3, 2)):
        later(seconds)
        work()
        assert (len(heard), members(app), waiting(app)) == (number, ["second"], 1)
    later(2)
    work()
    assert (len(heard), members(app), waiting(app)) == (3, ["second", "first"], 0)
    work()
    assert len(heard) == 3


def test_a_listener_that_the_database_refuses_is_one_that_fails(
    app: Flask, emit: Emit, subscriptions: Subscriptions, work: Work
) -> None:
    logging.getLogger("app").setLevel("CRITICAL")
    subscriptions += [
        Subscription(FirstHappened, add_member),
        Subscription(FirstHappened, add_member),
        Subscription(SecondHappened, add_member),
    ]
    emit(FirstHappened(text="twice"))
    emit(SecondHappened(text="once"))
    work()
    assert (members(app), waiting(app)) == (["once"], 1)


def test_an_event_that_is_refused_for_ever_rests_an_hour_at_most_and_blocks_nobody(
    app: Flask, emit: Emit, subscriptions: Subscriptions, work: Work, later: Later
) -> None:
    def refuse(_event: Event) -> None:
        raise RuntimeError

    logging.getLogger("app").setLevel("CRITICAL")
    heard: list[Event] = []
    subscriptions += [Subscription(FirstHappened, refuse), Subscription(SecondHappened, heard.append)]
    emit(FirstHappened())
    with app.app_context():
        unit_of_work(lambda: setattr(db.session.scalars(select(StoredEvent)).one(), "attempts", 2_000))
    emit(SecondHappened())
    work()
    assert heard == [SecondHappened()]
    with app.app_context():
        rests = db.session.scalars(select(StoredEvent)).one()
        assert (rests.attempts, rests.due_at > clock.now()) == (2_001, True)
    later(3601)
    work()
    with app.app_context():
        assert db.session.scalars(select(StoredEvent)).one().attempts == 2_002


def test_what_was_undone_has_not_happened(app: Flask) -> None:
    def happens() -> None:
        outbox.emit(FirstHappened())
        jobs.enqueue("purge")

    def fails() -> None:
        happens()
        raise RuntimeError

    def is_dry() -> None:
        happens()
        roll_back_with(None)

    with app.app_context():
        with pytest.raises(RuntimeError):
            unit_of_work(fails)
        unit_of_work(is_dry)
        assert db.session.scalar(select(func.count()).select_from(Job)) == 0
    assert waiting(app) == 0


def test_listeners_hear_how_a_member_s_job_has_ended(
    as_user: AsUser, known: dict[str, JobKind], subscriptions: Subscriptions, work: Work
) -> None:
    heard: list[JobFinished] = []
    subscriptions.append(Subscription(JobFinished, heard.append))
    known["test.ends"] = JobKind("test.ends", nothing)
    member = as_user()
    done, cancelled, gone = (ask_for_job(member, kind) for kind in ("test.ends", "test.ends", "test.gone"))
    logging.getLogger("app").setLevel("CRITICAL")
    url = f"/api/v1/jobs/{cancelled}/cancellation"
    assert member.post(url, query_string={"dry_run": "true"}).status_code == 200
    assert member.post(url).status_code == 200
    work()
    assert {event.job_id: (event.user_id, event.status) for event in heard} == {
        done: (member.user_id, "succeeded"),
        cancelled: (member.user_id, "cancelled"),
        gone: (member.user_id, "failed"),
    }
    assert len(heard) == 3


def test_a_job_that_a_listener_asks_for_and_all_log_lines_name_the_request_that_began_it(
    app: Flask, as_user: AsUser, known: dict[str, JobKind], subscriptions: Subscriptions, work: Work,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def listener(event: JobFinished) -> None:
        logging.getLogger("app.test").warning("heard")
        jobs.enqueue("test.asked", user_id=event.user_id)

    known |= {name: JobKind(name, nothing) for name in ("test.first", "test.asked")}
    subscriptions.append(Subscription(JobFinished, listener))
    member = as_user()
    job_id = ask_for_job(member, "test.first")
    cancel = member.post(f"/api/v1/jobs/{job_id}/cancellation", headers={"X-Request-ID": "the-request-id"})
    assert cancel.status_code == 200
    caplog.set_level(logging.INFO, "app")
    subscriptions.append(Subscription(JobFinished, lambda _event: subscriptions.clear()))
    our_filter = logging.getLogger("app").handlers[0].filters[0]
    caplog.handler.addFilter(our_filter)
    work()
    caplog.handler.removeFilter(our_filter)
    lines = {record.getMessage(): record.request_id for record in caplog.records}  # type: ignore[attr-defined]
    assert {"heard", f"Job {job_id + 1}, test.asked, attempt 1", f"Job {job_id + 1} has succeeded"} == lines.keys()
    assert set(lines.values()) == {"the-request-id"}


def test_a_client_that_is_refused_has_made_nothing_happen(app: Flask, as_user: AsUser) -> None:
    member: CheckedClient = as_user()
    job_id = ask_for_job(member)
    url = f"/api/v1/jobs/{job_id}/cancellation"
    assert member.post(url).status_code == 200
    before = waiting(app)
    assert member.post(url, headers={"Idempotency-Key": "k"}).status_code == 409
    assert waiting(app) == before == 1
