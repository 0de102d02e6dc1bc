"""Double entry: how credits move. The only place that writes accounts, transfers and entries.

A movement locks its two accounts in the order of their ids, so that no two movements wait for each other, and then
knows both balances: everything else is one statement on PostgreSQL.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, case, insert, or_, select, union_all, update

from app.core import clock
from app.core.db.base import Record, table_of
from app.core.db.prepared import prepared
from app.core.errors import Conflict, NotFound
from app.core.unit_of_work import execute, insert_on_conflict
from app.extensions import db
from app.users.models import User
from app.wallet.models import ESCROW, ISSUING, MAX_BALANCE, MEMBER, Account, Entry, Memo, Transfer

USERS, ACCOUNTS, TRANSFERS, ENTRIES, MEMOS = map(table_of, (User, Account, Transfer, Entry, Memo))


@dataclass(frozen=True)
class Movement:
    """Credits on their way from one account to another, both locked: an amount in minor units, and why."""

    kind: str
    sender: Record
    receiver: Record
    amount: int
    memo: str = ""
    reverses: int | None = None


@dataclass(frozen=True)
class PostedTransfer:
    """A transfer that was written, as it is shown."""

    id: int
    kind: str
    sender_id: int | None
    receiver_id: int | None
    amount: int
    memo: str
    reverses: int | None
    created_at: datetime


def locked(*user_ids: int, issuing: bool = False, active: bool = True) -> list[Record]:
    """Return the accounts of members as asked for, and last the issuing one; locked in the order of their ids.

    An account is made at its first movement. Raises NotFound for a member who is unknown or, with ``active``, disabled.
    """
    owners: list[int | None] = [*user_ids, None] if issuing else [*user_ids]
    accounts = _lock(owners, active=active)
    missing = [owner for owner in owners if owner not in accounts]
    if missing:
        _open(missing, active=active)
        accounts = _lock(owners, active=active)
    return [accounts[owner] for owner in owners]


def _lock(owners: list[int | None], *, active: bool) -> dict[int | None, Record]:
    """Lock the accounts that there are; the owner of the issuing one is None."""
    accounts = execute(_accounts(None in owners, active), _members(owners))
    return {account.user_id: account for account in accounts}


def _members(owners: list[int | None]) -> dict[str, int]:
    """Return the one or two members among ``owners`` as the parameters of a statement."""
    members = [owner for owner in owners if owner is not None]
    return {"one": members[0], "other": members[-1]}


# Statements are built once for each case: to build one takes longer than to execute it.
@cache
def _accounts(issuing: bool, active: bool) -> Select[Any]:
    """Lock accounts. Their members are held before, as deleting does it, so that nobody is paid while being deleted."""
    held = _held(active).cte("held")
    mine = ACCOUNTS.c.user_id.in_(select(held.c.id))
    wanted = or_(mine, ACCOUNTS.c.kind == ISSUING) if issuing else mine
    return prepared(select(ACCOUNTS).where(wanted).order_by(ACCOUNTS.c.id).with_for_update(of=ACCOUNTS))


@cache
def _held(active: bool) -> Select[Any]:
    alive = USERS.c.is_active if active else USERS.c.deleted_at.is_(None)
    members = USERS.c.id.in_([bindparam("one"), bindparam("other")])
    return prepared(select(USERS.c.id).where(members, alive).with_for_update(read=True, key_share=True))


def _open(owners: list[int | None], *, active: bool) -> None:
    """Make accounts, unless somebody else makes them at this moment."""
    members = {owner for owner in owners if owner is not None}
    if members and set(execute(_held(active), _members(owners)).scalars()) != members:
        raise NotFound("There is no such member.")
    for owner in owners:
        kind = ISSUING if owner is None else MEMBER
        execute(insert_on_conflict(Account).values(kind=kind, user_id=owner).on_conflict_do_nothing())


def locked_account(account_id: int) -> Record:
    """Return one account, locked."""
    return execute(select(ACCOUNTS).where(ACCOUNTS.c.id == account_id).with_for_update()).one()


def new_escrow() -> Record:
    """Make an account that holds the credits of one order, so that no two orders wait for each other."""
    return execute(insert(ACCOUNTS).values(kind=ESCROW, user_id=None, balance=0).returning(ACCOUNTS)).one()


def move(movement: Movement) -> PostedTransfer:
    """Write a movement between two locked accounts. Raises Conflict where a balance does not allow it."""
    after = _balances_after(movement)
    now = clock.now()
    transfer: dict[str, Any] = {
        "kind": movement.kind,
        "sender_id": movement.sender.user_id,
        "receiver_id": movement.receiver.user_id,
        "amount": movement.amount,
        "reverses": movement.reverses,
        "created_at": now,
    }
    values = {
        **transfer,
        "memo": movement.memo,
        "from_account": movement.sender.id,
        "to_account": movement.receiver.id,
        "taken": -movement.amount,
        "from_balance": after[0],
        "to_balance": after[1],
    }
    write = _in_one_statement if db.engine.dialect.name == "postgresql" else _one_by_one
    return PostedTransfer(id=write(values), memo=movement.memo, **transfer)


def _balances_after(movement: Movement) -> tuple[int, int]:
    sender, receiver = movement.sender, movement.receiver
    if sender.kind != ISSUING and sender.balance < movement.amount:
        raise Conflict("The balance does not suffice.", code="insufficient_funds")
    after = sender.balance - movement.amount, receiver.balance + movement.amount
    if max(map(abs, after)) > MAX_BALANCE:
        raise Conflict("A balance would become larger than one can be.", code="balance_too_large")
    return after


def _given(name: str, column: ColumnElement[Any]) -> BindParameter[Any]:
    """A value of a movement that goes to ``column``; SQLAlchemy keeps the names of columns to itself."""
    return bindparam(f"given_{name}", type_=column.type)


NEW_BALANCES = (
    update(ACCOUNTS)
    .where(ACCOUNTS.c.id.in_([_given("from_account", ACCOUNTS.c.id), _given("to_account", ACCOUNTS.c.id)]))
    .values(
        balance=case(
            (ACCOUNTS.c.id == _given("from_account", ACCOUNTS.c.id), _given("from_balance", ACCOUNTS.c.balance)),
            else_=_given("to_balance", ACCOUNTS.c.balance),
        ),
        updated_at=_given("created_at", ACCOUNTS.c.updated_at),
    )
)
NEW_TRANSFER = (
    insert(TRANSFERS)
    .values({c.name: _given(c.name, c) for c in TRANSFERS.c if not c.primary_key})
    .returning(TRANSFERS.c.id)
)
# The values that go into each of the two entries, and into which of its columns.
SIDES = (("from_account", "taken", "from_balance", "created_at"), ("to_account", "amount", "to_balance", "created_at"))
ENTRY = ("account_id", "amount", "balance_after", "created_at")


def _one_by_one(values: dict[str, Any]) -> int:
    given = {f"given_{name}": value for name, value in values.items()}
    execute(NEW_BALANCES, given)
    transfer_id: int = execute(NEW_TRANSFER, given).scalar_one()
    rows = [dict(zip(ENTRY, (values[name] for name in side), strict=True)) for side in SIDES]
    execute(insert(ENTRIES), [{"transfer_id": transfer_id, **row} for row in rows])
    if values["memo"]:
        execute(insert(MEMOS), {"transfer_id": transfer_id, "text": values["memo"]})
    return transfer_id


def _in_one_statement(values: dict[str, Any]) -> int:
    """Write all rows by one statement with data-modifying WITH: one way to the server and back instead of four."""
    written: int = execute(_movement(), {f"given_{name}": value for name, value in values.items()}).scalar_one()
    return written


@cache
def _movement() -> Select[Any]:
    made = NEW_TRANSFER.cte("made")
    rows = [
        select(made.c.id, *(_given(name, ENTRIES.c[column]) for name, column in zip(side, ENTRY, strict=True)))
        for side in SIDES
    ]
    entries = insert(ENTRIES).from_select(["transfer_id", *ENTRY], union_all(*rows)).returning(ENTRIES.c.id)
    memo = _given("memo", MEMOS.c.text)
    memos = insert(MEMOS).from_select(["transfer_id", "text"], select(made.c.id, memo).where(memo != ""))
    moved = NEW_BALANCES.returning(ACCOUNTS.c.id).cte("moved")
    noted = memos.returning(MEMOS.c.transfer_id).cte("noted")
    return prepared(select(made.c.id).add_cte(moved, entries.cte("entered"), noted))
