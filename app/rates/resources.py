"""Rates at their URL."""

from typing import Any

from app.core.caller import Caller
from app.core.errors import NotFound
from app.core.permissions import Access
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource
from app.rates import service
from app.rates.schemas import RateSchema


class RateItem(Resource):
    """The rate of one currency."""

    @endpoint(permission=Access.PUBLIC, response=RateSchema, errors=(NotFound, service.RatesUnavailable))
    def get(self, _caller: Caller, currency: str) -> Any:
        """Read what one unit of the community's currency is worth in another.

        The currency is three capital letters (ISO 4217). When the exchange-rate service is away, the last good rate is
        served with `stale: true`; where there is none, 503 `rates_unavailable`.
        """
        return service.get_rate(currency)
