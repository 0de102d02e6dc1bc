"""Operation at its URLs."""

from typing import Any

from flask import Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from app.core.caller import Caller
from app.core.errors import TRY_AGAIN, NotFound
from app.core.http.responses import json_response
from app.core.permissions import Access
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource
from app.health import metrics, service
from app.health.schemas import HealthSchema, ReadinessSchema


class Health(Resource):
    """Liveness of the process."""

    @endpoint(permission=Access.ANONYMOUS, response=HealthSchema)
    def get(self, _caller: Caller) -> Any:
        """Check that the process answers. Touches nothing else."""
        return {"status": "healthy"}


class Readiness(Resource):
    """Readiness of the service."""

    @endpoint(permission=Access.ANONYMOUS, response=ReadinessSchema, other_status=503)
    def get(self, _caller: Caller) -> Response:
        """Check that the database and its migrations are there: 503 with the same body if not."""
        answer = service.readiness()
        if answer["status"] == "healthy":
            return json_response(answer)
        return json_response(answer, 503, headers=TRY_AGAIN)


class Metrics(Resource):
    """Metrics of the service."""

    @endpoint(permission=Access.ANONYMOUS, media_type="text/plain", errors=(NotFound,))
    def get(self, _caller: Caller) -> Response:
        """Read the metrics of all processes, in the text format of Prometheus.

        They are for the operator: without METRICS_TOKEN as bearer token or, where none is set, from another machine
        or through a proxy, there is nothing here.
        """
        metrics.demand_access()
        return Response(generate_latest(metrics.Exposition()), content_type=CONTENT_TYPE_PLAIN_0_0_4)
