"""All background work on one page: the kinds of jobs, the timetable, and who hears of which event."""

from collections.abc import Mapping
from datetime import timedelta

from app.auth import service as auth
from app.core import idempotency
from app.core.outbox import Listener
from app.core.transaction import unit_of_work
from app.jobs import service as jobs
from app.jobs.kinds import Kind, Run
from app.orders import tasks as orders
from app.reports import tasks as reports
from app.reports.service import REPORT
from app.wallet import tasks as wallet


def purge(_run: Run) -> dict[str, int]:
    """Erase what has expired."""
    return {
        "idempotency_keys": unit_of_work(idempotency.purge),
        "sessions": unit_of_work(auth.purge_sessions),
        "jobs": unit_of_work(jobs.purge),
        "results": jobs.purge_results(),
    }


KINDS = (
    Kind(REPORT, reports.write_report),
    Kind("orders.complete", orders.complete_due, every=timedelta(minutes=10)),
    Kind("ledger.check", wallet.check_ledger, every=timedelta(hours=1)),
    Kind("purge", purge, every=timedelta(hours=1)),
)

LISTENERS: Mapping[str, tuple[Listener, ...]] = {}
