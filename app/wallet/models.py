"""The tables of the ledger, in double entry.

Transfers and entries are only ever added: a trigger in the database refuses to change or delete one. A balance is a
checked sum of entries. What a person has written is in a table of its own, where it can be erased.
"""

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.base import NEVER_REUSE_IDS, Base, Changeable, Created, length_check, text_type

MAX_AMOUNT = 10**12  # minor units
MAX_BALANCE = 2**53 - 1  # minor units; what every client's numbers hold
MEMO_LENGTH = 200

MEMBER, ESCROW, ISSUING = ACCOUNT_KINDS = ("member", "escrow", "issuing")
IS_ISSUING = text("kind = 'issuing'")

KINDS = ("transfer", "deposit", "withdrawal", "order", "refund", "payout", "reversal")


def _one_of(column: str, words: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint("{} IN ({})".format(column, ", ".join(f"'{word}'" for word in words)), name=column)


class Account(Changeable):
    """Where credits are: with a member, in escrow for an order, or issued by the community."""

    __tablename__ = "accounts"
    __table_args__ = (
        UniqueConstraint("user_id"),
        Index("uq_accounts_issuing", "kind", unique=True, postgresql_where=IS_ISSUING, sqlite_where=IS_ISSUING),
        _one_of("kind", ACCOUNT_KINDS),
        CheckConstraint("(kind = 'member') = (user_id IS NOT NULL)", name="owner"),
        CheckConstraint("balance >= 0 OR kind = 'issuing'", name="balance_not_negative"),
        CheckConstraint(f"balance BETWEEN -{MAX_BALANCE} AND {MAX_BALANCE}", name="balance_range"),
        NEVER_REUSE_IDS,
    )

    kind: Mapped[str] = mapped_column(text_type(10))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    balance: Mapped[int] = mapped_column(default=0, server_default="0")


class Transfer(Created):
    """A transfer of credits. A party that is no member (the community, an escrow) is NULL."""

    __tablename__ = "transfers"
    __table_args__ = (
        UniqueConstraint("reverses"),
        _one_of("kind", KINDS),
        CheckConstraint("amount > 0", name="amount_positive"),
        Index(None, "created_at", "id"),
        Index(None, "sender_id", "created_at", "id"),
        Index(None, "receiver_id", "created_at", "id"),
        Index(None, "amount", "id"),
        NEVER_REUSE_IDS,
    )

    kind: Mapped[str] = mapped_column(text_type(10))
    sender_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    receiver_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    amount: Mapped[int]
    reverses: Mapped[int | None] = mapped_column(ForeignKey("transfers.id"))


class Entry(Created):
    """What a transfer did to one account; the two entries of a transfer sum to zero."""

    __tablename__ = "entries"
    __table_args__ = (
        UniqueConstraint("transfer_id", "account_id"),
        CheckConstraint("amount <> 0", name="amount_not_zero"),
        Index(None, "account_id", "created_at", "id"),
        NEVER_REUSE_IDS,
    )

    transfer_id: Mapped[int] = mapped_column(ForeignKey("transfers.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    amount: Mapped[int]
    balance_after: Mapped[int]


class Memo(Base):
    """What the sender of a transfer has written to it."""

    __tablename__ = "memos"
    __table_args__ = (length_check("text", MEMO_LENGTH, least=1),)

    transfer_id: Mapped[int] = mapped_column(ForeignKey("transfers.id"), primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(text_type(MEMO_LENGTH))


class LedgerCheck(Created):
    """The result of one verification of the whole ledger, as JSON."""

    __tablename__ = "ledger_checks"
    __table_args__ = (NEVER_REUSE_IDS,)

    verdict: Mapped[str] = mapped_column(Text)
