"""Rates: what one unit of the community's currency is worth in others, as an exchange-rate service tells."""

from flask import Flask

from app.rates.source import EXTENSION, Source


def init_app(app: Flask) -> None:
    """Return the app a source of rates."""
    app.extensions[EXTENSION] = Source()
