"""The community's credits: how many there are, who has them, and how they moved from month to month.

Balances are those at the end of the period. A reversal of a deposit counts as taken back, one of a withdrawal as
issued, and one of a transfer as transferred.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from flask import current_app
from sqlalchemy import func, select

from app.core.db.base import Query, Record
from app.extensions import db
from app.orders.models import CANCELLED, Order
from app.reports.content import (
    COMMUNITY,
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
    parts,
    year_and_month,
)
from app.users.models import User
from app.wallet.models import MEMBER, Account, Entry, Transfer

ISSUED = Column("issued", "Issued", Is.MONEY)
WITHDRAWN = Column("withdrawn", "Taken back", Is.MONEY)
TRANSFERRED = Column("transferred", "Transferred", Is.MONEY)
ORDERS = Column("orders", "Orders", Is.NUMBER)
COLUMNS = (
    Column("member_id", "No.", Is.ID),
    Column("member", "Member", Is.TEXT),
    Column("received", "Received", Is.MONEY),
    Column("sent", "Sent", Is.MONEY),
    Column("balance", "Balance", Is.MONEY),
)
ISSUES = (Transfer.kind == "deposit") | ((Transfer.kind == "reversal") & Transfer.sender_id.is_(None))
TAKES_BACK = (Transfer.kind == "withdrawal") | ((Transfer.kind == "reversal") & Transfer.receiver_id.is_(None))
BETWEEN_MEMBERS = (
    Transfer.kind.in_(("transfer", "reversal")) & Transfer.sender_id.is_not(None) & (Transfer.receiver_id.is_not(None))
)
INTO_ESCROW = Transfer.kind == "order"
OUT_OF_ESCROW = Transfer.kind.in_(("payout", "refund"))


@dataclass
class _Sums:
    """What is in circulation at the end of the period, and what moved in it."""

    months: Months = field(default_factory=lambda: Months(ISSUED, WITHDRAWN, TRANSFERRED, ORDERS))
    issued: int = 0
    in_escrow: int = 0


def community(_owner: Record, period: Period, progress: Progress) -> Report:
    """Return the state of the community's credits. Reads as of one moment."""
    sums = _Sums()
    _add_transfers(sums, period)
    _add_orders(sums, period)
    months = sums.months
    at_the_end = (
        ("issued", "In existence", sums.issued),
        ("circulating", "Held by members", sums.issued - sums.in_escrow),
        ("in_escrow", "In escrow", sums.in_escrow),
    )
    in_the_period = (
        (Column(f"{column.name}_in_period", f"{column.title} in the period", column.kind), months.total(column.name))
        for column in months.columns
    )
    return Report(
        kind=COMMUNITY,
        title="The community's credits",
        owner="Agora",
        period=period,
        currency=current_app.config["CURRENCY"],
        totals=(*((Column(name, title, Is.MONEY), total) for name, title, total in at_the_end), *in_the_period),
        months=months.table(),
        chart=("issued", "withdrawn", "transferred"),
        tables=(Table("members", "member", "Members", COLUMNS, _members(period, progress), rank="balance"),),
        work=db.session.scalar(select(func.count()).where(Account.kind == MEMBER)) or 0,
    )


def _add_transfers(sums: _Sums, period: Period) -> None:
    for part in parts(db.session.scalar(select(func.max(Transfer.id)))):
        for year, month, *amounts in db.session.execute(_transfers_by_month(part, period)):
            issued, withdrawn, into_escrow, out_of_escrow, *meanwhile = amounts
            sums.issued += issued - withdrawn
            sums.in_escrow += into_escrow - out_of_escrow
            if any(meanwhile):
                names = ("issued", "withdrawn", "transferred")
                sums.months.add(year, month, **dict(zip(names, meanwhile, strict=True)))


def _transfers_by_month(part: tuple[int, int], period: Period) -> Query:
    """Add up all transfers before the period's end, and apart from these, those in the period."""
    month = year_and_month(Transfer.created_at)
    until_then = (add_up(Transfer.amount, what) for what in (ISSUES, TAKES_BACK, INTO_ESCROW, OUT_OF_ESCROW))
    in_period = period.holds(Transfer.created_at)
    meanwhile = (add_up(Transfer.amount, what, in_period) for what in (ISSUES, TAKES_BACK, BETWEEN_MEMBERS))
    query = select(*month, *until_then, *meanwhile).where(Transfer.id.between(*part))
    return query.where(Transfer.created_at < period.until).group_by(*month)


def _add_orders(sums: _Sums, period: Period) -> None:
    month = year_and_month(Order.created_at)
    placed = select(*month, func.count()).where(Order.status != CANCELLED, period.holds(Order.created_at))
    for part in parts(db.session.scalar(select(func.max(Order.id)))):
        for year, number, orders in db.session.execute(placed.where(Order.id.between(*part)).group_by(*month)):
            sums.months.add(year, number, orders=orders)


def _members(period: Period, progress: Progress) -> Iterator[Values]:
    """Return the members who have had credits, with sums that the database makes page by page."""
    in_period = period.holds(Entry.created_at)
    received = add_up(Entry.amount, Entry.amount > 0, in_period)
    sent = add_up(-Entry.amount, Entry.amount < 0, in_period)
    moved = select(Entry.account_id, received, sent, add_up(Entry.amount)).where(Entry.created_at < period.until)
    moved = moved.group_by(Entry.account_id).order_by(Entry.account_id)
    accounts = select(Account.id, Account.user_id, User.name).join(User, User.id == Account.user_id)
    for page in pages(accounts, Account.id, progress=progress):
        members = {account.id: account for account in page}
        for account_id, *amounts in db.session.execute(moved.where(Entry.account_id.in_(members))):
            if any(amounts):
                yield members[account_id].user_id, members[account_id].name, *amounts
