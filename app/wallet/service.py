"""The rules of credits: who may transfer, reverse and see what."""

from typing import Any

from flask import current_app
from sqlalchemy import bindparam, case, delete, func, select, union_all

from app.audit import service as audit
from app.core.background import outbox
from app.core.caller import Caller
from app.core.db.base import Parts, Query, Record, where_any
from app.core.db.prepared import prepared
from app.core.errors import Conflict, NotFound, ValidationFailed
from app.core.rows import one_or_not_found
from app.extensions import db
from app.users.models import User
from app.wallet.events import TransferReceived
from app.wallet.ledger import PostedTransfer, locked_accounts, post_transfer
from app.wallet.models import Account, Entry, Memo, Transfer

AUDIT = "transfer:audit"
REVERSIBLE = ("transfer", "deposit", "withdrawal")

MEMO = func.coalesce(Memo.text, "").label("memo")
SHOWN = (
    Transfer.id,
    Transfer.kind,
    Transfer.sender_id,
    Transfer.receiver_id,
    Transfer.amount,
    MEMO,
    Transfer.reverses,
    Transfer.created_at,
)
WALLET = prepared(
    select(User.id, func.coalesce(Account.balance, 0).label("balance"), Account.updated_at)
    .outerjoin(Account, Account.user_id == User.id)
    .where(User.id == bindparam("user_id"), User.deleted_at.is_(None))
)
ALL = select(*SHOWN).outerjoin(Memo, Memo.transfer_id == Transfer.id)


def get_wallet(user_id: int) -> dict[str, Any]:
    """Return a member's balance, in minor units; zero before the first transfer. Raises NotFound."""
    wallet = one_or_not_found(WALLET, {"user_id": user_id})
    currency = current_app.config["CURRENCY"]
    return {
        "user_id": wallet.id,
        "balance": wallet.balance,
        "currency": currency,
        "updated_at": wallet.updated_at,
    }


def list_entries(user_id: int) -> Query:
    """Return the query of a member's statement: a scan of the account's index, and joins that add or hide no row."""
    counterparty_id = case((Entry.amount < 0, Transfer.receiver_id), else_=Transfer.sender_id)
    shown = (
        Entry.id,
        Entry.transfer_id,
        Entry.amount,
        Entry.balance_after,
        counterparty_id.label("counterparty_id"),
        User.name.label("counterparty"),
        Transfer.kind,
        MEMO,
        Entry.created_at,
    )
    return (
        select(*shown)
        .outerjoin(Transfer, Transfer.id == Entry.transfer_id)
        .outerjoin(User, User.id == counterparty_id)
        .outerjoin(Memo, Memo.transfer_id == Entry.transfer_id)
        .where(Entry.account_id == select(Account.id).where(Account.user_id == user_id).scalar_subquery())
    )


def list_entries_of(user_id: int) -> Query:
    """Return the query of any member's statement. Raises NotFound for an unknown member."""
    get_wallet(user_id)
    return list_entries(user_id)


def list_transfers(caller: Caller) -> Query | Parts:
    """Return the query of the transfers that ``caller`` may see: one's own, all for treasurers."""
    if caller.may(AUDIT):
        return ALL
    return where_any(ALL, caller.member_id, Transfer.sender_id, Transfer.receiver_id)


def get_transfer(caller: Caller, transfer_id: int) -> Record:
    """Return a transfer. Raises NotFound for one that ``caller`` may not see."""
    transfer = one_or_not_found(ALL.where(Transfer.id == transfer_id))
    if not (caller.may(AUDIT) or caller.id in (transfer.sender_id, transfer.receiver_id)):
        raise NotFound
    return transfer


def create_transfer(caller: Caller, *, receiver_id: int, amount: int, memo: str) -> PostedTransfer:
    """Transfer credits (minor units) to another member. Raises ValidationFailed, NotFound or Conflict."""
    if receiver_id == caller.member_id:
        raise ValidationFailed(errors={"receiver_id": ["You cannot send credits to yourself."]})
    sender, receiver = locked_accounts(caller.member_id, receiver_id)
    return _emit_received(post_transfer(sender, receiver, kind="transfer", amount=amount, memo=memo))


def deposit(*, user_id: int, amount: int, memo: str) -> PostedTransfer:
    """Issue credits (minor units) to a member. Raises NotFound."""
    member, issuing = locked_accounts(user_id, issuing=True)
    posted = post_transfer(issuing, member, kind="deposit", amount=amount, memo=memo)
    audit.record("deposit.created", _subject(posted), data={"amount": amount})
    return _emit_received(posted)


def withdraw(*, user_id: int, amount: int, memo: str) -> PostedTransfer:
    """Take credits (minor units) back from a member, a disabled one too. Raises NotFound or Conflict."""
    member, issuing = locked_accounts(user_id, issuing=True, active=False)
    posted = post_transfer(member, issuing, kind="withdrawal", amount=amount, memo=memo)
    audit.record("withdrawal.created", _subject(posted), data={"amount": amount})
    return posted


def reverse_transfer(transfer_id: int) -> PostedTransfer:
    """Post the opposite of a transfer, once. Raises NotFound, or Conflict (``not_reversible``)."""
    transfer = db.session.get(Transfer, transfer_id)
    if transfer is None:
        raise NotFound
    refusal = Conflict("This transfer cannot be reversed, or has been already.", code="not_reversible")
    if transfer.kind not in REVERSIBLE:
        raise refusal
    members = [party for party in (transfer.receiver_id, transfer.sender_id) if party is not None]
    try:
        accounts = locked_accounts(*members, issuing=len(members) == 1, active=False)
    except NotFound:
        raise refusal from None  # One of them has been deleted.
    sender, receiver = accounts if transfer.receiver_id is not None else reversed(accounts)
    if db.session.scalar(select(Transfer.id).where(Transfer.reverses == transfer_id)) is not None:
        raise refusal
    posted = post_transfer(sender, receiver, kind="reversal", amount=transfer.amount, reverses=transfer_id)
    audit.record("transfer.reversed", _subject(transfer), data={"reversal_id": posted.id, "amount": posted.amount})
    return _emit_received(posted)


def _subject(transfer: Transfer | PostedTransfer) -> audit.Subject:
    """Return a transfer as the subject of an act: both its parties own it."""
    return audit.Subject("transfer", transfer.id, transfer.sender_id, transfer.receiver_id)


def _emit_received(posted: PostedTransfer) -> PostedTransfer:
    """Emit the event of credits that a member has received, if a member has."""
    if posted.receiver_id is not None:
        received = TransferReceived(
            transfer_id=posted.id,
            kind=posted.kind,
            sender_id=posted.sender_id,
            receiver_id=posted.receiver_id,
            amount=posted.amount,
        )
        outbox.emit(received)
    return posted


def refuse_unless_empty(user: User) -> None:
    """Keep a member with credits from being deleted; erase the memos of the others' transfers, whoever wrote them."""
    account = db.session.scalar(select(Account).where(Account.user_id == user.id).with_for_update())
    if account is not None and account.balance != 0:
        raise Conflict("The wallet is not empty.", code="account_not_empty")
    parts = where_any(select(Transfer.id), user.id, Transfer.sender_id, Transfer.receiver_id)
    db.session.execute(delete(Memo).where(Memo.transfer_id.in_(union_all(*parts))))
