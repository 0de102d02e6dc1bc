"""The one clock: aware UTC."""

from datetime import UTC, datetime


def now() -> datetime:
    """Give the present moment, with its time zone (UTC)."""
    return datetime.now(UTC)
