"""Reports at their URL."""

from typing import Any

from app.core.caller import Caller
from app.core.errors import Conflict
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource
from app.jobs.schemas import JobSchema
from app.reports import service
from app.reports.schemas import NewReportSchema


class ReportList(Resource):
    """Reports, each of which a job writes."""

    @endpoint(
        permission="report:write",
        body=NewReportSchema,
        response=JobSchema,
        status=202,
        location="/api/v1/jobs/{id}",
        for_update=True,
        errors=(Conflict,),
    )
    def post(self, caller: Caller, **fields: Any) -> Any:
        """Request a report: `statement` of your wallet, `sales` of your products, or, for treasurers, `community`.

        The job's `result_url` is the file, its `result` has the period and the totals in minor units. An `account` is
        all that the service holds about you, as JSON: `user`, `wallet`, and lists in the shapes of the API.
        409 `too_many_jobs` while you have 10 jobs that are not finished.
        """
        return service.request_report(caller, **fields)
