"""Double entry: how credits move. The only place that writes accounts, transfers and entries.

A movement locks its two accounts in the order of their ids, so that no two movements wait for each other, and then
knows both balances: everything else is one statement on PostgreSQL.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, insert, literal, or_, select, union_all, update

from app.core import clock
from app.core.errors import Conflict, NotFound
from app.core.models import Base
from app.core.transaction import insert_on_conflict
from app.extensions import db
from app.users.models import User
from app.wallet.models import ESCROW, ISSUING, MAX_BALANCE, MEMBER, Account, Entry, Memo, Transfer

ACCOUNTS, TRANSFERS, ENTRIES, MEMOS = (
    Base.metadata.tables[model.__tablename__] for model in (Account, Transfer, Entry, Memo)
)


@dataclass(frozen=True)
class Movement:
    """Credits on their way from one account to another, both locked: an amount in minor units, and why."""

    kind: str
    sender: Account
    receiver: Account
    amount: int
    memo: str = ""
    reverses: int | None = None


@dataclass(frozen=True)
class Moved:
    """A transfer that was written, as it is shown."""

    id: int
    kind: str
    sender_id: int | None
    receiver_id: int | None
    amount: int
    memo: str
    reverses: int | None
    created_at: datetime


def locked(*user_ids: int, issuing: bool = False, active: bool = True) -> list[Account]:
    """Give the accounts of members, in the order asked for, and last the issuing one; locked in the order of their ids.

    An account is made at its first movement. Raises NotFound for a member who is unknown or, with ``active``, disabled.
    """
    owners: list[int | None] = [*user_ids, None] if issuing else [*user_ids]
    accounts = _lock(owners, active=active)
    missing = [owner for owner in owners if owner not in accounts]
    if missing:
        _open(missing, active=active)
        accounts = _lock(owners, active=active)
    return [accounts[owner] for owner in owners]


def _lock(owners: list[int | None], *, active: bool) -> dict[int | None, Account]:
    """Lock the accounts that there are; the owner of the issuing one is None.

    The members are held before their accounts are, as deleting does it, so that nobody is paid while being deleted.
    """
    held = _held(owners, active=active).cte("held")
    mine = Account.user_id.in_(select(held.c.id))
    query = (
        select(Account)
        .where(or_(mine, Account.kind == ISSUING) if None in owners else mine)
        .order_by(Account.id)
        .with_for_update(of=Account)
        .execution_options(populate_existing=True)
    )
    return {account.user_id: account for account in db.session.scalars(query)}


def _held(owners: list[int | None], *, active: bool) -> Select[int]:
    alive = User.is_active if active else User.deleted_at.is_(None)
    members = [owner for owner in owners if owner is not None]
    return select(User.id).where(User.id.in_(members), alive).with_for_update(read=True, key_share=True)


def _open(owners: list[int | None], *, active: bool) -> None:
    """Make accounts, unless somebody else makes them at this moment."""
    if set(db.session.scalars(_held(owners, active=active))) != {owner for owner in owners if owner is not None}:
        raise NotFound("There is no such member.")
    for owner in owners:
        kind = ISSUING if owner is None else MEMBER
        db.session.execute(insert_on_conflict(Account).values(kind=kind, user_id=owner).on_conflict_do_nothing())


def locked_account(account_id: int) -> Account:
    """Give one account, locked."""
    return db.session.get_one(Account, account_id, with_for_update=True, populate_existing=True)


def new_escrow() -> Account:
    """Make an account that holds the credits of one order, so that no two orders wait for each other."""
    escrow = Account(kind=ESCROW, user_id=None, balance=0)
    db.session.add(escrow)
    db.session.flush()
    return escrow


def move(movement: Movement) -> Moved:
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
    write = _in_one_statement if db.engine.dialect.name == "postgresql" else _one_by_one
    transfer_id = write(movement, transfer, after)
    return Moved(id=transfer_id, memo=movement.memo, **transfer)


def _balances_after(movement: Movement) -> tuple[int, int]:
    sender, receiver = movement.sender, movement.receiver
    if sender.kind != ISSUING and sender.balance < movement.amount:
        raise Conflict("The balance does not suffice.", code="insufficient_funds")
    after = sender.balance - movement.amount, receiver.balance + movement.amount
    if max(map(abs, after)) > MAX_BALANCE:
        raise Conflict("A balance would become larger than one can be.", code="balance_too_large")
    return after


def _new_balances(movement: Movement, after: tuple[int, int], now: datetime) -> Any:
    return (
        update(ACCOUNTS)
        .where(ACCOUNTS.c.id.in_([movement.sender.id, movement.receiver.id]))
        .values(balance=case((ACCOUNTS.c.id == movement.sender.id, after[0]), else_=after[1]), updated_at=now)
    )


def _entries(movement: Movement, after: tuple[int, int], now: datetime) -> list[dict[str, Any]]:
    sides = (movement.sender.id, -movement.amount, after[0]), (movement.receiver.id, movement.amount, after[1])
    return [
        {"account_id": account, "amount": amount, "balance_after": balance, "created_at": now}
        for account, amount, balance in sides
    ]


def _one_by_one(movement: Movement, transfer: dict[str, Any], after: tuple[int, int]) -> int:
    now = transfer["created_at"]
    db.session.execute(_new_balances(movement, after, now))
    transfer_id = db.session.execute(insert(Transfer).values(transfer).returning(Transfer.id)).scalar_one()
    rows = [{**entry, "transfer_id": transfer_id} for entry in _entries(movement, after, now)]
    db.session.execute(insert(Entry), rows)
    if movement.memo:
        db.session.execute(insert(Memo).values(transfer_id=transfer_id, text=movement.memo))
    return transfer_id


def _in_one_statement(movement: Movement, transfer: dict[str, Any], after: tuple[int, int]) -> int:
    """Write all rows by one statement with data-modifying WITH: one way to the server and back instead of four."""
    now = transfer["created_at"]
    moved = _new_balances(movement, after, now).returning(ACCOUNTS.c.id).cte("moved")
    made = insert(TRANSFERS).values(transfer).returning(TRANSFERS.c.id).cte("made")
    columns = ("account_id", "amount", "balance_after", "created_at")
    rows = [
        select(made.c.id, *(literal(entry[name], ENTRIES.c[name].type) for name in columns))
        for entry in _entries(movement, after, now)
    ]
    written = insert(ENTRIES).from_select(["transfer_id", *columns], union_all(*rows)).returning(ENTRIES.c.id)
    parts = [moved, written.cte("written")]
    if movement.memo:
        memo = select(made.c.id, literal(movement.memo))
        parts.append(
            insert(MEMOS).from_select(["transfer_id", "text"], memo).returning(MEMOS.c.transfer_id).cte("memo")
        )
    written_id: int = db.session.execute(select(made.c.id).add_cte(*parts)).scalar_one()
    return written_id
