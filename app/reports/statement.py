"""A member's own wallet: what it held, what came in and went out, and what it holds."""

from collections.abc import Iterator

from flask import current_app
from sqlalchemy import func, select

from app.core.db.base import Query, Record
from app.extensions import db
from app.reports.content import (
    STATEMENT,
    Column,
    Is,
    Months,
    Period,
    Progress,
    Report,
    Table,
    Values,
    add_up,
    pages,
    year_and_month,
)
from app.wallet.models import Account, Entry
from app.wallet.service import list_entries

IN = Column("received", "In", Is.MONEY)
OUT = Column("sent", "Out", Is.MONEY)
OPENING = Column("opening_balance", "Opening balance", Is.MONEY)
CLOSING = Column("closing_balance", "Closing balance", Is.MONEY)
NUMBER = Column("entries", "Entries", Is.NUMBER)
COLUMNS = (
    Column("created_at", "Date (UTC)", Is.MOMENT),
    Column("kind", "Kind", Is.WORD),
    Column("counterparty", "With", Is.TEXT),
    Column("memo", "Memo", Is.TEXT),
    Column("amount", "Amount", Is.MONEY),
    Column("balance_after", "Balance", Is.BALANCE),
)


def statement(owner: Record, period: Period, progress: Progress) -> Report:
    """Return the statement of a member's wallet. Reads as of one moment."""
    months = Months(IN, OUT, NUMBER)
    for year, month, received, sent, entries in db.session.execute(_by_month(owner.id, period)):
        months.add(year, month, received=received, sent=sent, entries=entries)
    opening = _opening(owner.id, period)
    received, sent = months.total("received"), months.total("sent")
    entries = months.total("entries")
    return Report(
        kind=STATEMENT,
        title="Statement of account",
        owner=owner.name,
        period=period,
        currency=current_app.config["CURRENCY"],
        totals=(
            (OPENING, opening),
            (IN, received),
            (OUT, sent),
            (CLOSING, opening + received - sent),
            (NUMBER, entries),
        ),
        months=months.table(),
        chart=("received", "sent"),
        tables=(Table("entries", "entry", "Entries", COLUMNS, _entries(owner.id, period, progress)),),
        work=entries,
    )


def _by_month(user_id: int, period: Period) -> Query:
    month = year_and_month(Entry.created_at)
    sums = add_up(Entry.amount, Entry.amount > 0), add_up(-Entry.amount, Entry.amount < 0), func.count()
    of_account = select(*month, *sums).join(Account, Account.id == Entry.account_id).where(Account.user_id == user_id)
    return of_account.where(period.holds(Entry.created_at)).group_by(*month)


def _opening(user_id: int, period: Period) -> int:
    if period.since is None:
        return 0
    before = select(add_up(Entry.amount)).join(Account, Account.id == Entry.account_id)
    return db.session.scalar(before.where(Account.user_id == user_id, Entry.created_at < period.since)) or 0


def _entries(user_id: int, period: Period, progress: Progress) -> Iterator[Values]:
    query = list_entries(user_id).where(period.holds(Entry.created_at))
    for page in pages(query, Entry.created_at, Entry.id, progress=progress):
        for entry in page:
            yield tuple(getattr(entry, column.name) for column in COLUMNS)
