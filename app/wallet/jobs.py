"""The ledger in the background."""

from typing import Any

from app.core.unit_of_work import unit_of_work
from app.jobs.kinds import Run
from app.wallet import verification


def check_ledger(run: Run) -> dict[str, Any]:
    """Verify the whole ledger, and store the result."""
    run.progress(0, verification.last_id())
    ledger = unit_of_work(lambda: verification.verify_ledger(lambda ids: run.progress(run.done + ids)), snapshot=True)
    return {"balanced": ledger["balanced"], "entries": ledger["entries"]}
