"""The one clock: aware UTC."""

from datetime import UTC, datetime, timedelta

SKEW = timedelta(seconds=5)  # by which the clocks of two hosts may differ without anybody noticing


def now() -> datetime:
    """Return the present moment, with its time zone (UTC)."""
    return datetime.now(UTC)


def at_once() -> datetime:
    """Return a moment that has come on every host by now, however late its clock is: when something is due at once."""
    return now() - SKEW
