"""The rules of reports: who may ask for which, of which period."""

from datetime import datetime
from typing import Any

from app.core import clock
from app.core.caller import Caller
from app.core.errors import ValidationFailed
from app.jobs import service as jobs
from app.reports.content import ACCOUNT, COMMUNITY, JSON, rfc_3339

REPORT = "report"  # the kind of the job
OF_COMMUNITY = "report:community"


def request_report(
    caller: Caller,
    kind: str,
    *,
    format: str,  # noqa: A002
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[str, Any]:
    """Ask for a report of what was from ``since`` on and before ``until``, and return the job that writes it.

    The period's end is fixed here, so that a job that is tried again writes the same report. Raises Forbidden,
    ValidationFailed for a period that is empty or has not begun and for an account of a period or not as JSON, or
    Conflict (``too_many_jobs``).
    """
    if kind == COMMUNITY:
        caller.demand(OF_COMMUNITY)
    if kind == ACCOUNT:
        _demand_whole(format_=format, since=since, until=until)
    now = clock.now()
    end = min(until or now, now)
    if since is not None and since >= end:
        raise ValidationFailed(errors={"since": ["Must be before until, and in the past."]})
    params = {"kind": kind, "format": format, "since": since and rfc_3339(since), "until": rfc_3339(end)}
    return jobs.request_job(caller, REPORT, params=params)


def _demand_whole(*, format_: str, since: datetime | None, until: datetime | None) -> None:
    """Raise ValidationFailed unless all of an account is asked for, as JSON."""
    reason = "All that the service holds about you is one JSON document."
    wrong = {"format": format_ != JSON, "since": since is not None, "until": until is not None}
    if any(wrong.values()):
        raise ValidationFailed(errors={name: [reason] for name, is_wrong in wrong.items() if is_wrong})
