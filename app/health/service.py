"""Readiness: what the service depends on, checked."""

import logging
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.core.background import dispatcher
from app.core.clients import mail
from app.core.db import migrations
from app.extensions import db
from app.jobs.service import ALIVE, seconds_since_tick, worker_is_alive
from app.notifications.service import mails_are_held_up
from app.rates import service as rates

log = logging.getLogger(__name__)


NEEDED = ("database", "migrations")


def readiness() -> dict[str, Any]:
    """Return what the service depends on, and whether it is there.

    Without a broker or a worker the service goes on, degraded: jobs and events wait.
    """
    checks = dict.fromkeys((*NEEDED, "worker", "mail"), False)
    tick_age = None
    try:
        db.session.execute(text("SELECT 1"))
        checks["database"] = True
        checks["migrations"] = migrations.has_all(db.session.connection())
        checks["worker"] = checks["migrations"] and worker_is_alive()
        tick_age = seconds_since_tick() if checks["migrations"] else None
        checks["mail"] = checks["migrations"] and mail.is_set_up() and not mails_are_held_up()
    except SQLAlchemyError as error:
        log.warning("Not ready: %s", type(error).__name__)
    checks["broker"] = dispatcher.broker_answers()
    degraded = [name for name, well in checks.items() if not well and name not in NEEDED]
    if checks["migrations"] and (tick_age is None or tick_age > ALIVE.total_seconds()):
        degraded.append("scheduler")
    if rates.is_degraded():
        degraded.append("rates")
    return {
        "status": "healthy" if all(checks[name] for name in NEEDED) else "unhealthy",
        "checks": checks,
        "degraded": degraded,
        "tick_age": tick_age,
    }
