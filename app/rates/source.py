"""Where rates come from: a service that speaks as Frankfurter does (https://frankfurter.dev)."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import cast

from flask import current_app

from app.core import clock
from app.core.clients.http_client import Answer, OutgoingError, Service
from app.rates.models import RATE_LENGTH

EXTENSION = "agora-rates"
TIMEOUT_SECONDS = 1.5  # of the 2 within which a client is answered that there is no rate
MAX_CONCURRENT = 2  # calls of a process, which has more threads than that for all else
UNKNOWN = (404, 422)
CODE = re.compile("[A-Z]{3}")
LOOPBACK = ("127.0.0.1", "localhost")  # where the service for development listens

# What is outside of this is a mistake of the service: 10^9 is a thousand times what any currency has been worth.
MIN_RATE, MAX_RATE = Decimal("1e-9"), Decimal("1e9")


@dataclass(frozen=True)
class Quote:
    """What one unit of the community's currency is worth in ``currency``: a decimal number, of the day ``as_of``."""

    currency: str
    rate: str
    as_of: datetime
    fetched_at: datetime


class Source:
    """The exchange-rate service, and which currencies it has said lately that it does not know."""

    def __init__(self) -> None:
        self._service = Service("The exchange-rate service", at_once=MAX_CONCURRENT, seconds=TIMEOUT_SECONDS)
        self._unknown: dict[str, datetime] = {}

    @property
    def has_failed(self) -> bool:
        """Whether the service has failed to answer when it was asked last."""
        return self._service.has_failed

    def fetch(self, base: str, currency: str) -> Quote | None:
        """Return what one ``base`` is worth in ``currency``; None for a currency that the service does not know.

        Raises OutgoingError.
        """
        if not current_app.config["RATES_URL"]:
            raise OutgoingError("RATES_URL is not set.")
        now = clock.now()
        if self._unknown.get(currency, now) > now:
            return None
        url, params = f"{current_app.config['RATES_URL']}/latest", {"base": base, "symbols": currency}
        quote = self._service.get(url, partial(read_quote, base, currency), params=params)
        if quote is None:
            self._unknown[currency] = now + timedelta(seconds=current_app.config["RATES_MAX_AGE"])
        return quote


def source() -> Source:
    """Return the source of rates of the app."""
    return cast(Source, current_app.extensions[EXTENSION])


def read_quote(base: str, currency: str, answer: Answer) -> Quote | None:
    """Read ``{"base": "EUR", "date": "2026-01-30", "rates": {"USD": 1.08}}``; None where the currency is unknown.

    Raises OutgoingError for all else: a rate that is no positive number, or of another base, is none.
    """
    if answer.status in UNKNOWN:
        return None
    if answer.status != 200:
        raise OutgoingError(f"It answered {answer.status}.")
    match answer.json():
        case {"base": str(named), "date": str(day), "rates": {**rates}} if named == base:
            return Quote(currency, _rate(rates.get(currency)), start_of(_date(day)), clock.now())
    raise OutgoingError("The answer is not one about rates of the base that was asked for.")


def _rate(value: object) -> str:
    """Return a rate in digits, as many as the service has sent."""
    if not (isinstance(value, Decimal) and MIN_RATE <= value <= MAX_RATE):
        raise OutgoingError("The rate is no positive number of a size that makes sense.")
    digits = format(value, "f")
    if len(digits) > RATE_LENGTH:
        raise OutgoingError("The rate has too many digits.")
    return digits


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise OutgoingError("The rate is not of a day.") from None


def start_of(day: date) -> datetime:
    """Return the moment at which a day begins (UTC)."""
    return datetime.combine(day, time(), UTC)
