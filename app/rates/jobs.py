"""Rates in the background."""

from app.jobs.kinds import Run
from app.rates import service


def refresh(_run: Run) -> dict[str, int]:
    """Fetch the stored rates again, so that prices in them are of today."""
    return {"refreshed": service.refresh_rates()}
