"""What comes in and goes out of the wallet."""

from marshmallow import fields

from app.core.schema import MAX_ID, Boolean, Choice, Id, Integer, Schema, Text, Timestamp
from app.users.models import NAME_LENGTH
from app.wallet.models import KINDS, MAX_AMOUNT, MAX_BALANCE, MEMO_LENGTH

MINOR_UNITS = {"description": "Minor units of the community's credits."}


class WalletSchema(Schema):
    """The balance of a member."""

    user_id = Id(dump_only=True)
    balance = Integer(0, MAX_BALANCE, dump_only=True, metadata=MINOR_UNITS)
    currency = Text(3, 3, dump_only=True)
    updated_at = Timestamp(
        dump_only=True, allow_none=True, metadata={"description": "`null` before the first transfer."}
    )


class EntrySchema(Schema):
    """A line of a statement."""

    id = Id(dump_only=True)
    transfer_id = Id(dump_only=True)
    amount = Integer(-MAX_AMOUNT, MAX_AMOUNT, dump_only=True, metadata=MINOR_UNITS)
    balance_after = Integer(0, MAX_BALANCE, dump_only=True, metadata=MINOR_UNITS)
    counterparty_id = Id(dump_only=True, allow_none=True, metadata={"description": "`null`: no member."})
    counterparty = Text(*NAME_LENGTH, dump_only=True, allow_none=True)
    kind = Choice(*KINDS, dump_only=True)
    memo = Text(0, MEMO_LENGTH, dump_only=True)
    created_at = Timestamp(dump_only=True)


class TransferSchema(Schema):
    """A transfer of credits."""

    id = Id(dump_only=True)
    kind = Choice(*KINDS, dump_only=True)
    sender_id = Id(dump_only=True, allow_none=True, metadata={"description": "`null`: no member."})
    receiver_id = Id(dump_only=True, allow_none=True, metadata={"description": "`null`: no member."})
    amount = Integer(1, MAX_AMOUNT, dump_only=True, metadata=MINOR_UNITS)
    memo = Text(0, MEMO_LENGTH, dump_only=True)
    reverses = Id(dump_only=True, allow_none=True, metadata={"description": "The transfer that this one takes back."})
    created_at = Timestamp(dump_only=True)


class NewTransferSchema(Schema):
    """A transfer from one member to another, to be made."""

    receiver_id = Id(required=True)
    amount = Integer(1, MAX_AMOUNT, required=True, metadata=MINOR_UNITS)
    memo = Text(0, MEMO_LENGTH, load_default="")


class IssueSchema(Schema):
    """A deposit or a withdrawal."""

    user_id = Id(required=True)
    amount = Integer(1, MAX_AMOUNT, required=True, metadata=MINOR_UNITS)
    memo = Text(0, MEMO_LENGTH, load_default="")


class MismatchSchema(Schema):
    """An account whose balance is not what its entries add up to."""

    account_id = Id(dump_only=True)
    balance = Integer(-MAX_ID, MAX_ID, dump_only=True, metadata=MINOR_UNITS)
    computed = Integer(-MAX_ID, MAX_ID, dump_only=True, metadata=MINOR_UNITS)


class LedgerSchema(Schema):
    """The whole ledger, added up anew."""

    balanced = Boolean(dump_only=True)
    entries = Integer(0, MAX_ID, dump_only=True)
    accounts = Integer(0, MAX_ID, dump_only=True)
    sum = Integer(-MAX_ID, MAX_ID, dump_only=True, metadata=MINOR_UNITS)
    issued = Integer(-MAX_ID, MAX_ID, dump_only=True, metadata=MINOR_UNITS)
    mismatches = fields.List(fields.Nested(MismatchSchema), dump_only=True)
    as_of = Timestamp(dump_only=True)
