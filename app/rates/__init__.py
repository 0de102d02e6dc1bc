"""Rates: what one unit of the community's currency is worth in others, from an exchange-rate service.

Open to all. `as_of` is the beginning of the service's day (UTC). An unknown currency is asked for again after
`RATES_MAX_AGE`; one that the service has ceased to know keeps its last rate, as stale.
"""

from flask import Flask

from app.rates.source import EXTENSION, Source


def init_app(app: Flask) -> None:
    """Return the app a source of rates."""
    app.extensions[EXTENSION] = Source()
