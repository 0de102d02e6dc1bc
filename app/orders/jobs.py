"""Orders in the background."""

from functools import partial

from app.core.unit_of_work import unit_of_work
from app.jobs.kinds import Run
from app.orders import service


def complete_due(run: Run) -> dict[str, int]:
    """Complete the orders that have been open for 14 days, each in a transaction of its own."""
    due = service.due_orders()
    completed = 0
    for number, order_id in enumerate(due, start=1):
        completed += unit_of_work(partial(service.complete_due_order, order_id))
        run.progress(number, len(due))
    return {"completed": completed}
