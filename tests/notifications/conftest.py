"""What tests of notifications share."""

from collections.abc import Callable

import pytest
from flask import Flask

from app.core.background import outbox
from app.core.background.dispatcher import QUEUES
from app.core.clients import mail
from app.jobs import runner

Work = Callable[[], None]


@pytest.fixture(autouse=True)
def untried_server() -> None:
    """Forget what another test's mail server has done."""
    mail.SERVER.close()


@pytest.fixture
def work(app: Flask) -> Work:
    """Do all background work that is due, until nothing is left."""

    def do_one() -> bool:
        outbox.deliver_all()
        return any(runner.run_next(queue) for queue in QUEUES)

    def do_all() -> None:
        with app.app_context():
            while do_one():
                pass

    return do_all
