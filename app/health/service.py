"""What readiness depends on."""

import logging
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.core import migrations
from app.extensions import db
from app.rates import service as rates

log = logging.getLogger(__name__)


def readiness() -> dict[str, Any]:
    """Check the database and its migrations; only these make the service unhealthy."""
    checks = {"database": False, "migrations": False}
    try:
        db.session.execute(text("SELECT 1"))
        checks["database"] = True
        checks["migrations"] = migrations.has_all(db.session.connection())
    except SQLAlchemyError as error:
        log.warning("Not ready: %s", type(error).__name__)
    degraded = ["rates"] if rates.is_degraded() else []
    return {"status": "healthy" if all(checks.values()) else "unhealthy", "checks": checks, "degraded": degraded}
