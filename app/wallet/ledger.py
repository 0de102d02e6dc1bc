"""The ledger, in double entry: the only module that writes accounts, transfers and entries.

A transfer is posted between two accounts that are locked, in the order of their ids, so that no two transfers wait for
each other. With both balances known, posting it is one statement on PostgreSQL.
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
class PostedTransfer:
    """A transfer that is in the ledger, as it is shown. ``amount``: minor units."""

    id: int
    kind: str
    sender_id: int | None
    receiver_id: int | None
    amount: int
    memo: str
    reverses: int | None
    created_at: datetime


def locked_accounts(*user_ids: int, issuing: bool = False, active: bool = True) -> list[Record]:
    """Return the accounts of one or two members, then with ``issuing`` the issuing one; locked in the order of ids.

    An account is opened when it is first asked for. Raises NotFound for a member who is unknown or deleted, or with
    ``active``, disabled.
    """
    owners: list[int | None] = [*user_ids, None] if issuing else [*user_ids]
    accounts = _lock(owners, active=active)
    missing = [owner for owner in owners if owner not in accounts]
    if missing:
        _open_accounts(missing, active=active)
        accounts = _lock(owners, active=active)
    return [accounts[owner] for owner in owners]


def _lock(owners: list[int | None], *, active: bool) -> dict[int | None, Record]:
    """Lock the accounts that exist, and return them by owner; the owner of the issuing one is None."""
    accounts = execute(_accounts_query(None in owners, active), _member_ids(owners))
    return {account.user_id: account for account in accounts}


def _member_ids(owners: list[int | None]) -> dict[str, int]:
    """Return the one or two members among ``owners`` as the parameters of a statement."""
    members = [owner for owner in owners if owner is not None]
    return {"one": members[0], "other": members[-1]}


# Statements are built once for each case: to build one takes longer than to execute it.
@cache
def _accounts_query(issuing: bool, active: bool) -> Select[Any]:
    """Select accounts, locked; their members first, as a deletion does, so that nobody is paid while being deleted."""
    members = _members_query(active).cte("members")
    theirs = ACCOUNTS.c.user_id.in_(select(members.c.id))
    wanted = or_(theirs, ACCOUNTS.c.kind == ISSUING) if issuing else theirs
    return prepared(select(ACCOUNTS).where(wanted).order_by(ACCOUNTS.c.id).with_for_update(of=ACCOUNTS))


@cache
def _members_query(active: bool) -> Select[Any]:
    """Select members, locked against deletion."""
    eligible = USERS.c.is_active if active else USERS.c.deleted_at.is_(None)
    members = USERS.c.id.in_([bindparam("one"), bindparam("other")])
    return prepared(select(USERS.c.id).where(members, eligible).with_for_update(read=True, key_share=True))


def _open_accounts(owners: list[int | None], *, active: bool) -> None:
    """Create accounts, unless another transaction creates them at this moment."""
    members = {owner for owner in owners if owner is not None}
    if members and set(execute(_members_query(active), _member_ids(owners)).scalars()) != members:
        raise NotFound("There is no such member.")
    for owner in owners:
        kind = ISSUING if owner is None else MEMBER
        execute(insert_on_conflict(Account).values(kind=kind, user_id=owner).on_conflict_do_nothing())


def locked_account(account_id: int) -> Record:
    """Return one account, locked."""
    return execute(select(ACCOUNTS).where(ACCOUNTS.c.id == account_id).with_for_update()).one()


def open_escrow_account() -> Record:
    """Create an account that holds the credits of one order, so that no two orders wait for each other."""
    return execute(insert(ACCOUNTS).values(kind=ESCROW, user_id=None, balance=0).returning(ACCOUNTS)).one()


def post_transfer(
    sender: Record, receiver: Record, *, kind: str, amount: int, memo: str = "", reverses: int | None = None
) -> PostedTransfer:
    """Post a transfer of ``amount`` minor units between two locked accounts: a debit and a credit.

    Raises Conflict where a balance does not allow it: ``insufficient_funds`` or ``balance_too_large``.
    """
    sender_balance, receiver_balance = _balances_after(sender, receiver, amount)
    transfer: dict[str, Any] = {
        "kind": kind,
        "sender_id": sender.user_id,
        "receiver_id": receiver.user_id,
        "amount": amount,
        "reverses": reverses,
        "created_at": clock.now(),
    }
    values = {
        **transfer,
        "memo": memo,
        "sender_account": sender.id,
        "receiver_account": receiver.id,
        "debit": -amount,
        "credit": amount,
        "sender_balance": sender_balance,
        "receiver_balance": receiver_balance,
    }
    write = _write_at_once if db.engine.dialect.name == "postgresql" else _write_one_by_one
    return PostedTransfer(id=write(values), memo=memo, **transfer)


def _balances_after(sender: Record, receiver: Record, amount: int) -> tuple[int, int]:
    if sender.kind != ISSUING and sender.balance < amount:
        raise Conflict("The balance does not suffice.", code="insufficient_funds")
    after = sender.balance - amount, receiver.balance + amount
    if max(map(abs, after)) > MAX_BALANCE:
        raise Conflict("A balance would become larger than one can be.", code="balance_too_large")
    return after


def _value(name: str, column: ColumnElement[Any]) -> BindParameter[Any]:
    """Return the parameter for a value of ``column``; SQLAlchemy reserves the names of columns."""
    return bindparam(f"value_{name}", type_=column.type)


SENDER, RECEIVER = (_value(f"{party}_account", ACCOUNTS.c.id) for party in ("sender", "receiver"))
NEW_BALANCES = (
    update(ACCOUNTS)
    .where(ACCOUNTS.c.id.in_([SENDER, RECEIVER]))
    .values(
        balance=case(
            (ACCOUNTS.c.id == SENDER, _value("sender_balance", ACCOUNTS.c.balance)),
            else_=_value("receiver_balance", ACCOUNTS.c.balance),
        ),
        updated_at=_value("created_at", ACCOUNTS.c.updated_at),
    )
)
NEW_TRANSFER = (
    insert(TRANSFERS)
    .values({c.name: _value(c.name, c) for c in TRANSFERS.c if not c.primary_key})
    .returning(TRANSFERS.c.id)
)
# The columns of an entry, and the values that go into them: one row is the debit, the other the credit.
ENTRY = ("account_id", "amount", "balance_after", "created_at")
SIDES = (
    ("sender_account", "debit", "sender_balance", "created_at"),
    ("receiver_account", "credit", "receiver_balance", "created_at"),
)


def _write_one_by_one(values: dict[str, Any]) -> int:
    """Write the rows of a transfer, each by a statement of its own; return its id."""
    parameters = {f"value_{name}": value for name, value in values.items()}
    execute(NEW_BALANCES, parameters)
    transfer_id: int = execute(NEW_TRANSFER, parameters).scalar_one()
    rows = [dict(zip(ENTRY, (values[name] for name in side), strict=True)) for side in SIDES]
    execute(insert(ENTRIES), [{"transfer_id": transfer_id, **row} for row in rows])
    if values["memo"]:
        execute(insert(MEMOS), {"transfer_id": transfer_id, "text": values["memo"]})
    return transfer_id


def _write_at_once(values: dict[str, Any]) -> int:
    """Write the rows of a transfer by one statement with data-modifying WITH, one round trip instead of four."""
    parameters = {f"value_{name}": value for name, value in values.items()}
    transfer_id: int = execute(_transfer_statement(), parameters).scalar_one()
    return transfer_id


@cache
def _transfer_statement() -> Select[Any]:
    transfer = NEW_TRANSFER.cte("new_transfer")
    rows = [
        select(transfer.c.id, *(_value(name, ENTRIES.c[column]) for name, column in zip(side, ENTRY, strict=True)))
        for side in SIDES
    ]
    entries = insert(ENTRIES).from_select(["transfer_id", *ENTRY], union_all(*rows)).returning(ENTRIES.c.id)
    text = _value("memo", MEMOS.c.text)
    memo = insert(MEMOS).from_select(["transfer_id", "text"], select(transfer.c.id, text).where(text != ""))
    new_balances = NEW_BALANCES.returning(ACCOUNTS.c.id).cte("new_balances")
    new_memo = memo.returning(MEMOS.c.transfer_id).cte("new_memo")
    return prepared(select(transfer.c.id).add_cte(new_balances, entries.cte("new_entries"), new_memo))
