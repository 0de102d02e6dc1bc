"""The events of the wallet."""

from dataclasses import dataclass

from app.core.background.events import Event


@dataclass(frozen=True, kw_only=True)
class TransferReceived(Event):
    """A member has received credits. ``amount``: minor units. ``sender_id``: None for the community."""

    name = "transfer.received"

    transfer_id: int
    kind: str
    sender_id: int | None
    receiver_id: int
    amount: int
