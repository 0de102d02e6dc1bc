"""What tests of notifications share."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from app.core import clock
from app.core.background import outbox
from app.core.clients import mail
from app.extensions import db
from app.jobs import runner
from app.jobs.models import QUEUED, Job

Work = Callable[[], None]


@pytest.fixture(autouse=True)
def untried_server() -> None:
    """Forget what another test's mail server has done."""
    mail.SERVER.close()


@pytest.fixture
def work(app: Flask) -> Work:
    """Do all background work that is due, until nothing is left."""

    def due() -> list[int]:
        outbox.deliver_all()
        waiting = select(Job.id).where(Job.status == QUEUED, Job.due_at <= clock.now()).order_by(Job.id)
        return list(db.session.scalars(waiting))

    def do_all() -> None:
        with app.app_context():
            while jobs := due():
                for job_id in jobs:
                    runner.run(job_id)

    return do_all
