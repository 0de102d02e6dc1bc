"""Imports at their URL."""

from typing import Any

from app.core.caller import Caller
from app.core.errors import Conflict
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource
from app.imports import service
from app.imports.schemas import ImportSchema
from app.jobs.schemas import JobSchema


class ImportList(Resource):
    """Importing."""

    @endpoint(
        permission="product:write",
        body=ImportSchema,
        response=JobSchema,
        status=202,
        location="/api/v1/jobs/{id}",
        for_update=True,
        errors=(Conflict,),
    )
    def post(self, caller: Caller, **fields: Any) -> Any:
        """Import products from a CSV file (RFC 4180, UTF-8) with a header.

        Columns: `name` and `price` (minor units) are needed; `description`, `stock` (0 if absent) and `is_active`
        (`true` or `false`) are taken; an empty cell is an absent one. The job's `result` is `{rows, good, bad,
        created}`, its file a CSV `line,field,message` of what is bad: the first 1,000 bad rows, and a last line without
        number that says how many are not listed. The same file again creates nothing. 409 `too_many_jobs` while you
        have 10 jobs that are not finished.
        """
        return service.create_import(caller, **fields)
