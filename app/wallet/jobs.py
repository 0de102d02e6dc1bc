"""The ledger in the background."""

from typing import Any

from app.core.unit_of_work import unit_of_work
from app.jobs.kinds import Run
from app.wallet import audit


def check_ledger(run: Run) -> dict[str, Any]:
    """Add up the whole ledger, and keep the verdict for those who ask."""
    run.progress(0, audit.last_id())
    verdict = unit_of_work(lambda: audit.record_verdict(lambda ids: run.progress(run.done + ids)), snapshot=True)
    return {"balanced": verdict["balanced"], "entries": verdict["entries"]}
