"""The rules of rates: a fresh one, else the last good one, else none; and nobody waits for long."""

import logging
from datetime import timedelta
from typing import Any

from flask import current_app
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from app.core import clock
from app.core.clients.http_client import OutgoingError
from app.core.db.engines import release
from app.core.errors import NotFound, ServiceUnavailable
from app.core.unit_of_work import insert_on_conflict, unit_of_work
from app.extensions import db
from app.rates.conversion import convert
from app.rates.models import Rate
from app.rates.source import CODE, Quote, source, start_of

log = logging.getLogger(__name__)

MAX_REFRESHED = 200  # There are fewer currencies than that.


class RatesUnavailable(ServiceUnavailable):
    """The exchange-rate service does not answer, and this rate was never fetched."""

    code = "rates_unavailable"
    message = "There is no rate at hand, and the exchange-rate service does not answer. Try again in a moment."


def get_rate(currency: str) -> dict[str, Any]:
    """Return the rate of ``currency``: a fresh one, or where there is none to be had, the last good one as stale.

    Raises NotFound for what is no currency or none that the service knows, and RatesUnavailable, after at most the time
    that a call may take.
    """
    base = current_app.config["CURRENCY"]
    if not CODE.fullmatch(currency):
        raise NotFound
    kept = _kept(base, currency)
    if kept is not None and kept.fetched_at > clock.now() - timedelta(seconds=current_app.config["RATES_MAX_AGE"]):
        return _shown(kept, stale=False)
    try:
        fetched = _fetch(base, currency)
    except OutgoingError as error:
        log.warning("No fresh rate of %s: %s", currency, error)
        if kept is None:
            raise RatesUnavailable from None
        return _shown(kept, stale=True)
    if fetched is not None:
        return _shown(fetched, stale=False)
    if kept is None:
        raise NotFound
    return _shown(kept, stale=True)  # A currency that the service has ceased to know.


def rate_at_hand(currency: str) -> Quote | None:
    """Return the last good rate of ``currency``, whatever its age, without asking anybody; None where there is none."""
    return _kept(current_app.config["CURRENCY"], currency)


def price_in(amount: int, rate: Quote | None) -> dict[str, Any] | None:
    """Return an ``amount`` of the community's minor units at ``rate``; None without one, or for too great a sum."""
    if rate is None:
        return None
    converted = convert(amount, rate.rate, base=current_app.config["CURRENCY"], currency=rate.currency)
    return None if converted is None else {"currency": rate.currency, "amount": converted, "as_of": rate.as_of}


def refresh_rates() -> int:
    """Fetch every rate that was ever asked for anew, the oldest first, and return the number of those that have come.

    Ends with the first that does not come: the service is away. Runs outside of a unit of work.
    """
    base = current_app.config["CURRENCY"]
    known = select(Rate.currency).where(Rate.base == base).order_by(Rate.fetched_at).limit(MAX_REFRESHED)
    refreshed = 0
    for currency in db.session.scalars(known).all():
        try:
            refreshed += _fetch(base, currency) is not None
        except OutgoingError as error:
            log.warning("No fresh rate of %s: %s", currency, error)
            break
    return refreshed


def is_degraded() -> bool:
    """Return whether the exchange-rate service has failed to answer when this process asked it last."""
    return source().has_failed


def _kept(base: str, currency: str) -> Quote | None:
    """Return the last good rate; the base's own is 1 at any time."""
    if currency == base:
        return Quote(base, "1", start_of(clock.now().date()), clock.now())
    columns = (Rate.currency, Rate.rate, Rate.as_of, Rate.fetched_at)
    row = db.session.execute(select(*columns).where(Rate.base == base, Rate.currency == currency)).one_or_none()
    return None if row is None else Quote(*row)


def _fetch(base: str, currency: str) -> Quote | None:
    """Fetch a rate from the service, and store it. Holds no connection meanwhile: the service may be slow."""
    release(db)
    quote = source().fetch(base, currency)
    if quote is not None:
        try:
            unit_of_work(lambda: _keep(base, quote))
        except SQLAlchemyError as error:  # Whoever asked has the rate all the same.
            log.warning("The rate of %s could not be kept: %s", currency, type(error).__name__)
    return quote


def _keep(base: str, quote: Quote) -> None:
    fetched = {"rate": quote.rate, "as_of": quote.as_of, "fetched_at": quote.fetched_at}
    new = insert_on_conflict(Rate).values(base=base, currency=quote.currency, **fetched)
    db.session.execute(new.on_conflict_do_update(index_elements=["base", "currency"], set_=fetched))


def _shown(quote: Quote, *, stale: bool) -> dict[str, Any]:
    return {"currency": quote.currency, "rate": quote.rate, "as_of": quote.as_of, "stale": stale}
