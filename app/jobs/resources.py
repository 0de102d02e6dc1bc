"""Jobs at their URLs."""

from typing import Any

from flask import Response
from werkzeug.http import dump_options_header

from app.core.caller import Caller
from app.core.endpoint import endpoint
from app.core.errors import Conflict, Gone, NotFound
from app.core.listing import Filter, Listing
from app.core.resource import Resource
from app.jobs import service
from app.jobs.models import Job
from app.jobs.schemas import JobSchema

JOBS = Listing(
    "jobs",
    JobSchema,
    Job,
    sort={"created_at": Job.created_at},
    filters={"kind": Filter(Job.kind), "status": Filter(Job.status), "created_at": Filter(Job.created_at)},
    extend=service.all_shown,
)


class JobList(Resource):
    """The caller's jobs."""

    @endpoint(permission="job:read", listing=JOBS)
    def get(self, caller: Caller) -> Any:
        """List your jobs."""
        return service.list_jobs(caller)


class JobItem(Resource):
    """One of the caller's jobs."""

    @endpoint(permission="job:read", answer=JobSchema, errors=(NotFound,))
    def get(self, caller: Caller, job_id: int) -> Any:
        """Watch a job."""
        return service.get_job(caller, job_id)


class JobResult(Resource):
    """The file that a job has made."""

    @endpoint(permission="job:read", media_type="*/*", errors=(NotFound, Gone))
    def get(self, caller: Caller, job_id: int) -> Response:
        """Fetch what a job has made: a report, or the list of an import's bad rows. 410 after 7 days."""
        result, content = service.open_result(caller, job_id)
        disposition = dump_options_header("attachment", {"filename": result.result_name})
        return Response(content, headers={"Content-Disposition": disposition}, content_type=result.result_type)


class JobCancellation(Resource):
    """The end of a job before its time."""

    @endpoint(permission="job:write", target=service.own_job, answer=JobSchema, errors=(NotFound, Conflict))
    def post(self, caller: Caller, job: Job) -> Any:
        """Cancel a job. One that runs stops within a few seconds, and is `cancelled` then. 409 `job_finished`."""
        return service.cancel_job(caller, job)
