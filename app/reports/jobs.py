"""Reports in the background."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from app.core.caller import Caller
from app.core.db.base import Record
from app.core.permissions import ROLES
from app.core.unit_of_work import snapshot
from app.extensions import db
from app.jobs.kinds import JobFailed, ResultFile, Run
from app.reports import account, as_csv, as_json, as_pdf
from app.reports.community import community
from app.reports.content import (
    ACCOUNT,
    COMMUNITY,
    CSV,
    JSON,
    PDF,
    SALES,
    STATEMENT,
    Period,
    Progress,
    Report,
    Table,
    Values,
)
from app.reports.sales import sales
from app.reports.service import OF_COMMUNITY
from app.reports.shortened import shorten
from app.reports.statement import statement
from app.users.models import User

READERS: dict[str, Callable[[Record, Period, Progress], Report]] = {
    STATEMENT: statement,
    SALES: sales,
    COMMUNITY: community,
}
WRITERS: dict[str, Callable[[Report, Path], None]] = {CSV: as_csv.write, JSON: as_json.write}
CONTENT_TYPES = {CSV: "text/csv; charset=utf-8; header=present", JSON: "application/json", PDF: "application/pdf"}


def write_report(run: Run) -> dict[str, Any]:
    """Write the report that was asked for, all of it as of one moment, and return its period and totals."""
    kind, format_, since, until = (run.params[name] for name in ("kind", "format", "since", "until"))
    period = Period(since and datetime.fromisoformat(since), datetime.fromisoformat(until))
    path = run.folder / "report"
    if kind == ACCOUNT:
        return _write_account(run, period, path)
    kept, rows = None, Counter[str]()
    with snapshot():
        report = _counting(READERS[kind](_owner(run), period, lambda read: run.progress(run.done + read)), rows)
        run.progress(0, report.work)
        if format_ == PDF:
            kept = shorten(report)
        else:
            WRITERS[format_](report, path)
    if kept is not None:  # The pages are laid out when nothing is read any more.
        as_pdf.write(report, kept, path)
    run.file = ResultFile(path, _name(kind, period, format_), CONTENT_TYPES[format_])
    totals = {column.name: total for column, total in report.totals}
    return {**run.params, "rows": rows.total(), "currency": report.currency, "totals": totals}


def _write_account(run: Run, period: Period, path: Path) -> dict[str, Any]:
    """Write all that the service holds about a member, as of one moment, and return how many items each list has."""
    with snapshot():
        owner = _owner(run)
        # With no more than a member's permissions: what an admin or a treasurer may see of others is not the caller's.
        member = Caller(owner.id, owner.name, "member", ROLES["member"])
        rows = account.write(member, path, lambda read: run.progress(run.done + read))
    run.progress(run.done, run.done)
    run.file = ResultFile(path, _name(ACCOUNT, period, JSON), CONTENT_TYPES[JSON])
    return {**run.params, "rows": rows}


def _counting(report: Report, rows: Counter[str]) -> Report:
    """Return the report with tables that count their rows as they are gone through."""

    def counted(table: Table) -> Iterator[Values]:
        for values in table.rows:
            rows[table.name] += 1
            yield values

    return replace(report, tables=tuple(replace(table, rows=counted(table)) for table in report.tables))


def _owner(run: Run) -> Record:
    """Return the member who has asked, unless that member may not have the report any more."""
    query = select(User.id, User.name, User.role).where(User.id == run.user_id, User.is_active)
    owner = db.session.execute(query).one_or_none()
    if owner is None or (run.params["kind"] == COMMUNITY and OF_COMMUNITY not in ROLES[owner.role]):
        raise JobFailed("forbidden", "You may not have this report any more.")
    return owner


def _name(kind: str, period: Period, format_: str) -> str:
    since = f"{period.since:%Y-%m-%d}-" if period.since else ""
    return f"{kind}-{since}{period.until:%Y-%m-%d}.{format_}"
