"""Jobs at their URLs."""

from typing import Any

from flask import Response

from app.core.caller import Caller
from app.core.errors import Conflict, Gone, NotFound
from app.core.http.streaming import disposition, stored_file
from app.core.lists.listing import Filter, Listing
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource
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

    @endpoint(permission="job:read", response=JobSchema, errors=(NotFound,))
    def get(self, caller: Caller, job_id: int) -> Any:
        """Watch a job."""
        return service.get_job(caller, job_id)


class JobResult(Resource):
    """The file that a job has made."""

    @endpoint(permission="job:read", media_type="*/*", accepts_ranges=True, errors=(NotFound, Gone))
    def get(self, caller: Caller, job_id: int) -> Response:
        """Fetch what a job has made: a report, or the list of an import's bad rows. 410 after 7 days."""
        result = service.get_result(caller, job_id)
        headers = {
            "Content-Type": result.result_type,
            "Content-Disposition": disposition("attachment", result.result_name),
        }
        tag = result.result_key.rpartition("/")[2]  # A job makes its file once, under a key of its own.
        return stored_file(result.result_key, size=result.result_size, entity_tag=tag, headers=headers)


class JobCancellation(Resource):
    """The end of a job before its time."""

    @endpoint(permission="job:write", load=service.own_job, response=JobSchema, errors=(NotFound, Conflict))
    def post(self, caller: Caller, job: Job) -> Any:
        """Cancel a job. One that runs stops within a few seconds, and is `cancelled` then. 409 `job_finished`."""
        return service.cancel_job(caller, job)
