"""The check of the whole ledger: everything added up anew, and what does not fit named."""

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, ScalarSelect, case, cast, func, insert, select, true

from app.core import clock
from app.core.db.base import Query
from app.extensions import db
from app.wallet.models import ISSUING, Account, Entry, LedgerCheck, Transfer

ADDED_UP_AT_ONCE = 100_000  # entries; above that a request answers the last verdict
MOST_MISMATCHES = 1_000
BATCH_SIZE = 50_000  # ids of accounts and transfers that are gone through at once


def get_verdict() -> dict[str, Any]:
    """Return the state of the ledger: added up now, or where that would last, the last verdict that was recorded."""
    bounded = select(Entry.id).limit(ADDED_UP_AT_ONCE + 1).subquery()
    if (db.session.scalar(select(func.count()).select_from(bounded)) or 0) > ADDED_UP_AT_ONCE:
        recorded = db.session.scalar(select(LedgerCheck.verdict).order_by(LedgerCheck.id.desc()).limit(1))
        if recorded is not None:
            verdict: dict[str, Any] = json.loads(recorded)
            return verdict
    return add_up()


def record_verdict(progress: Callable[[int], None]) -> dict[str, Any]:
    """Add up a ledger of any length, part by part, and keep the verdict for those who ask.

    Takes what is called with the number of ids that each part has gone through. Runs inside an snapshot unit of work,
    so that all parts are of one moment.
    """
    verdict = add_up(range(1, BATCH_SIZE))
    progress(BATCH_SIZE)
    for first in range(BATCH_SIZE, last_id() + 1, BATCH_SIZE):
        part = add_up(range(first, first + BATCH_SIZE))
        for name in ("entries", "accounts", "sum", "issued"):
            verdict[name] += part[name]
        verdict["balanced"] &= part["balanced"]
        verdict["mismatches"] += part["mismatches"]
        progress(BATCH_SIZE)
    verdict["balanced"] &= not verdict["sum"]
    kept = {**verdict, "as_of": verdict["as_of"].isoformat().replace("+00:00", "Z")}
    db.session.execute(insert(LedgerCheck).values(verdict=json.dumps(kept)))
    return verdict


def last_id() -> int:
    """Return the highest id that accounts and transfers have."""
    highest = (select(func.coalesce(func.max(model.id), 0)).scalar_subquery() for model in (Account, Transfer))
    return int(max(db.session.execute(select(*highest)).one()))


def add_up(ids: range | None = None) -> dict[str, Any]:
    """Add up the entries by account and by transfer, in one statement and so at one moment.

    Takes the range of ids of the accounts and transfers to look at; by default all, and only then "balanced" means
    that all of it sums to zero. An account's balance must be the sum of its entries, a transfer's two entries must sum
    to zero.
    """
    rows = db.session.execute(_adding_up(ids)).all()
    found = rows[0]
    mismatches = [
        {"account_id": row.account_id, "balance": row.balance, "computed": row.computed}
        for row in rows
        if row.account_id is not None
    ]
    return {
        "balanced": not (mismatches or found.wrong_transfers or (ids is None and found.sum)),
        "entries": found.entries or 0,
        "accounts": found.accounts,
        "sum": found.sum or 0,
        "issued": -(found.issuing or 0),
        "mismatches": mismatches,
        "as_of": clock.now(),
    }


def _adding_up(ids: range | None) -> Query:
    """Make the statement: a row of totals, beside each account that does not fit."""
    accounts = _within(Account.id, ids)
    entries = select(Entry.account_id, _sum(Entry.amount).label("computed"), func.count().label("entries"))
    by_account = entries.where(_within(Entry.account_id, ids)).group_by(Entry.account_id).cte("by_account")
    computed = func.coalesce(by_account.c.computed, 0)
    joined = (Account, by_account, by_account.c.account_id == Account.id)
    totals = (
        select(
            func.count().label("accounts"),
            _sum(Account.balance).label("sum"),
            _sum(by_account.c.entries).label("entries"),
            _sum(case((Account.kind == ISSUING, Account.balance), else_=0)).label("issuing"),
            _wrong_transfers(ids).label("wrong_transfers"),
        )
        .outerjoin_from(*joined)
        .where(accounts)
        .cte("totals")
    )
    wrong = (
        select(Account.id.label("account_id"), Account.balance, computed.label("computed"))
        .outerjoin_from(*joined)
        .where(accounts, Account.balance != computed)
        .order_by(Account.id)
        .limit(MOST_MISMATCHES)
        .subquery()
    )
    return select(totals, wrong).outerjoin_from(totals, wrong, true())


def _wrong_transfers(ids: range | None) -> ScalarSelect[int]:
    """Count the transfers whose entries are not two that sum to zero."""
    right = (
        select(Entry.transfer_id)
        .where(_within(Entry.transfer_id, ids))
        .group_by(Entry.transfer_id)
        .having(_sum(Entry.amount) == 0, func.count() == 2)
    )
    wrong = select(func.count()).select_from(Transfer).where(_within(Transfer.id, ids), Transfer.id.not_in(right))
    return wrong.scalar_subquery()


def _within(column: Any, ids: range | None) -> ColumnElement[bool]:
    return true() if ids is None else column.between(ids.start, ids.stop - 1)


def _sum(column: Any) -> Any:
    """Add up as 64-bit integers; PostgreSQL would make a numeric of it."""
    return cast(func.sum(column), BigInteger)
