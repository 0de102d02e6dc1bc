"""The sentences of notifications.

A name is followed by words, never by a number, which would change its place behind a name that is written from right
to left.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flask import current_app

from app.core.clients.mail import one_line
from app.jobs.models import FAILED
from app.orders.service import OPEN_FOR

Data = Mapping[str, Any]


def message_of(kind: str, data: Data, *, user_id: int, person: str | None) -> str:
    """Return the message of a notification to the member ``user_id``; it may name a ``person``."""
    return SENTENCES[kind](data, user_id, one_line(person or "The community"))


def money(amount: int) -> str:
    """Write an amount (minor units) in the community's currency."""
    return f"{amount // 100}.{amount % 100:02} {current_app.config['CURRENCY']}"


def _order_placed(data: Data, _user_id: int, person: str) -> str:
    return f"{person} has placed an order with you for {money(data['total'])}: order {data['order_id']}."


def _order_completed(data: Data, user_id: int, person: str) -> str:
    number, total = data["order_id"], money(data["total"])
    alone = f"was open for {OPEN_FOR.days} days and has completed by itself"
    if user_id == data["buyer_id"]:
        return f"Your order {number} from {person} {alone}: {total} has gone to the seller."
    if data["by"] is None:
        return f"Order {number} by {person} {alone}: {total} is yours."
    return f"{person} has completed order {number}: {total} is yours."


def _order_cancelled(data: Data, user_id: int, person: str) -> str:
    if user_id == data["buyer_id"]:
        return f"{person} has cancelled your order {data['order_id']}: {money(data['total'])} is back in your wallet."
    return f"{person} has cancelled order {data['order_id']}: what was ordered is back in stock."


def _transfer_received(data: Data, _user_id: int, person: str) -> str:
    if data["kind"] == "reversal":
        return f"A transfer of yours has been reversed: {money(data['amount'])} is back in your wallet."
    return f"{person} has sent you {money(data['amount'])}."


def _report_ready(data: Data, _user_id: int, _person: str) -> str:
    if data["status"] == FAILED:
        return f"Your report could not be made. {data['error']['message']}"
    return "Your report is ready."


def _import_done(data: Data, _user_id: int, _person: str) -> str:
    if data["status"] == FAILED:
        return f"Your import has failed. {data['error']['message']}"
    counts = ", ".join(f"{count} {name}" for name, count in (data["result"] or {}).items())
    return f"Your import is done: {counts}." if counts else "Your import is done."


SENTENCES: Mapping[str, Callable[[Data, int, str], str]] = {
    "order_placed": _order_placed,
    "order_completed": _order_completed,
    "order_cancelled": _order_cancelled,
    "transfer_received": _transfer_received,
    "report_ready": _report_ready,
    "import_done": _import_done,
}
