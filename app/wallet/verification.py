"""The verification of the whole ledger: every balance against the sum of its entries, every transfer against zero."""

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, ScalarSelect, case, cast, func, insert, select, true

from app.core import clock
from app.core.db.base import Query
from app.extensions import db
from app.wallet.models import ISSUING, Account, Entry, LedgerCheck, Transfer

MAX_ENTRIES_PER_REQUEST = 100_000  # above that a request is answered with the last stored result
MAX_MISMATCHES = 1_000  # that one statement returns
BATCH_SIZE = 50_000  # ids of accounts and transfers that one statement looks at


def get_ledger() -> dict[str, Any]:
    """Return the state of the ledger: verified now, or where that would take too long, the last stored result."""
    bounded = select(Entry.id).limit(MAX_ENTRIES_PER_REQUEST + 1).subquery()
    if (db.session.scalar(select(func.count()).select_from(bounded)) or 0) > MAX_ENTRIES_PER_REQUEST:
        stored = db.session.scalar(select(LedgerCheck.verdict).order_by(LedgerCheck.id.desc()).limit(1))
        if stored is not None:
            result: dict[str, Any] = json.loads(stored)
            return result
    return verify()


def verify_ledger(progress: Callable[[int], None]) -> dict[str, Any]:
    """Verify a ledger of any length, batch by batch; store the result and return it.

    ``progress`` is called after each batch with its number of ids. Runs inside a unit of work with a snapshot, so that
    all batches see the same moment.
    """
    result = verify(range(1, BATCH_SIZE))
    progress(BATCH_SIZE)
    for first in range(BATCH_SIZE, last_id() + 1, BATCH_SIZE):
        batch = verify(range(first, first + BATCH_SIZE))
        for name in ("entries", "accounts", "sum", "issued"):
            result[name] += batch[name]
        result["balanced"] &= batch["balanced"]
        result["mismatches"] += batch["mismatches"]
        progress(BATCH_SIZE)
    result["balanced"] &= not result["sum"]
    stored = {**result, "as_of": result["as_of"].isoformat().replace("+00:00", "Z")}
    db.session.execute(insert(LedgerCheck).values(verdict=json.dumps(stored)))
    return result


def last_id() -> int:
    """Return the highest id that accounts and transfers have."""
    highest = (select(func.coalesce(func.max(model.id), 0)).scalar_subquery() for model in (Account, Transfer))
    return int(max(db.session.execute(select(*highest)).one()))


def verify(ids: range | None = None) -> dict[str, Any]:
    """Verify the accounts and transfers with these ``ids``, by default all, in one statement and so at one moment.

    An account's balance must be the sum of its entries, a transfer's two entries must sum to zero. Only without ``ids``
    does "balanced" also mean that all balances sum to zero.
    """
    rows = db.session.execute(_verification(ids)).all()
    totals = rows[0]
    mismatches = [
        {"account_id": row.account_id, "balance": row.balance, "computed": row.computed}
        for row in rows
        if row.account_id is not None
    ]
    return {
        "balanced": not (mismatches or totals.wrong_transfers or (ids is None and totals.sum)),
        "entries": totals.entries or 0,
        "accounts": totals.accounts,
        "sum": totals.sum or 0,
        "issued": -(totals.issuing or 0),
        "mismatches": mismatches,
        "as_of": clock.now(),
    }


def _verification(ids: range | None) -> Query:
    """Return the statement: a row of totals, beside each account whose balance is wrong."""
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
        .limit(MAX_MISMATCHES)
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
    """Return the sum as a 64-bit integer; PostgreSQL would return a numeric."""
    return cast(func.sum(column), BigInteger)
