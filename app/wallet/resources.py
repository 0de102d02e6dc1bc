"""Credits at their URLs."""

from typing import Any

from app.core.caller import Caller
from app.core.errors import Conflict, NotFound
from app.core.lists.listing import Filter, Listing
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource
from app.wallet import service, verification
from app.wallet.models import Entry, Transfer
from app.wallet.schemas import (
    EntrySchema,
    IssueSchema,
    LedgerSchema,
    NewTransferSchema,
    TransferSchema,
    WalletSchema,
)

ENTRIES = Listing("entries", EntrySchema, Entry, sort={"created_at": Entry.created_at})
TRANSFERS = Listing(
    "transfers",
    TransferSchema,
    Transfer,
    sort={"created_at": Transfer.created_at, "amount": Transfer.amount},
    filters={
        "kind": Filter(Transfer.kind),
        "created_at": Filter(Transfer.created_at),
        "amount": Filter(Transfer.amount),
    },
)
TRANSFER_URL = "/api/v1/transfers/{id}"
ISSUE = endpoint(
    permission="credit:issue",
    body=IssueSchema,
    response=TransferSchema,
    status=201,
    location=TRANSFER_URL,
    errors=(NotFound, Conflict),
)


class Wallet(Resource):
    """The caller's wallet."""

    @endpoint(permission="wallet:read", response=WalletSchema, errors=(NotFound,))
    def get(self, caller: Caller) -> Any:
        """Read your balance."""
        return service.get_wallet(caller.member_id)


class WalletEntryList(Resource):
    """The caller's statement."""

    @endpoint(permission="wallet:read", listing=ENTRIES)
    def get(self, caller: Caller) -> Any:
        """List the entries of your account, the newest first."""
        return service.list_entries(caller.member_id)


class UserWallet(Resource):
    """Any member's wallet."""

    @endpoint(permission="wallet:audit", response=WalletSchema, errors=(NotFound,))
    def get(self, _caller: Caller, user_id: int) -> Any:
        """Read any member's balance."""
        return service.get_wallet(user_id)


class UserWalletEntryList(Resource):
    """Any member's statement."""

    @endpoint(permission="wallet:audit", listing=ENTRIES, errors=(NotFound,))
    def get(self, _caller: Caller, user_id: int) -> Any:
        """List the entries of any member's account."""
        return service.list_entries_of(user_id)


class TransferList(Resource):
    """Transfers of credits."""

    @endpoint(permission="transfer:read", listing=TRANSFERS)
    def get(self, caller: Caller) -> Any:
        """List transfers: your own; treasurers see all."""
        return service.list_transfers(caller)

    @endpoint(
        permission="transfer:write",
        body=NewTransferSchema,
        response=TransferSchema,
        status=201,
        location=TRANSFER_URL,
        errors=(NotFound, Conflict),
    )
    def post(self, caller: Caller, **fields: Any) -> Any:
        """Send credits to another member. 409 `insufficient_funds` if you have too few."""
        return service.create_transfer(caller, **fields)


class TransferItem(Resource):
    """One transfer of credits."""

    @endpoint(permission="transfer:read", response=TransferSchema, errors=(NotFound,))
    def get(self, caller: Caller, transfer_id: int) -> Any:
        """Read a transfer: your own; treasurers see all."""
        return service.get_transfer(caller, transfer_id)


class Reversal(Resource):
    """The opposite of a transfer."""

    @endpoint(
        permission="transfer:reverse",
        response=TransferSchema,
        status=201,
        location=TRANSFER_URL,
        errors=(NotFound, Conflict),
    )
    def post(self, _caller: Caller, transfer_id: int) -> Any:
        """Reverse, once, a `transfer`, `deposit` or `withdrawal`; else 409 `not_reversible`."""
        return service.reverse_transfer(transfer_id)


class DepositList(Resource):
    """Credits that the community issues."""

    @ISSUE
    def post(self, _caller: Caller, **fields: Any) -> Any:
        """Issue credits to a member."""
        return service.deposit(**fields)


class WithdrawalList(Resource):
    """Credits that the community takes back."""

    @ISSUE
    def post(self, _caller: Caller, **fields: Any) -> Any:
        """Take credits back from a member. 409 `insufficient_funds` if the member has too few."""
        return service.withdraw(**fields)


class Ledger(Resource):
    """The whole ledger."""

    @endpoint(permission="ledger:read", response=LedgerSchema)
    def get(self, _caller: Caller) -> Any:
        """Add up every entry anew; above 100,000 entries, read the last result of `flask ledger verify`."""
        return verification.get_ledger()
