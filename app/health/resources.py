"""Operation at its URLs."""

from typing import Any

from flask import Response

from app.core.caller import Caller
from app.core.endpoint import endpoint, json_response
from app.core.errors import TRY_AGAIN
from app.core.permissions import Access
from app.core.resource import Resource
from app.health import service
from app.health.schemas import HealthSchema, ReadinessSchema


class Health(Resource):
    """Is the process alive?"""

    @endpoint(permission=Access.ANONYMOUS, answer=HealthSchema)
    def get(self, _caller: Caller) -> Any:
        """Tell that the process answers. Touches nothing else."""
        return {"status": "healthy"}


class Readiness(Resource):
    """Is the service ready for work?"""

    @endpoint(permission=Access.ANONYMOUS, answer=ReadinessSchema, other_status=503)
    def get(self, _caller: Caller) -> Response:
        """Tell whether the database and its migrations are there: 503 with the same body if not."""
        answer = service.readiness()
        if answer["status"] == "healthy":
            return json_response(answer)
        return json_response(answer, 503, headers=TRY_AGAIN)
