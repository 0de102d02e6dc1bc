"""What goes out of jobs."""

from marshmallow import fields

from app.core.schema import MAX_ID, Choice, Id, Integer, Schema, Text, Timestamp, UrlPath
from app.jobs.models import MESSAGE_LENGTH, STATUS


class ProgressSchema(Schema):
    """How far a job is."""

    done = Integer(0, MAX_ID, dump_only=True)
    total = Integer(0, MAX_ID, dump_only=True, allow_none=True, metadata={"description": "`null`: not known yet."})


class JobErrorSchema(Schema):
    """Why a job has failed."""

    code = Text(1, 50, dump_only=True)
    message = Text(1, MESSAGE_LENGTH, dump_only=True)


class JobSchema(Schema):
    """Slow work, and how it stands."""

    id = Id(dump_only=True)
    kind = Text(1, 50, dump_only=True)
    status = Choice(*STATUS, dump_only=True)
    progress = fields.Nested(ProgressSchema, dump_only=True)
    result = fields.Dict(
        dump_only=True, allow_none=True, metadata={"description": "What has come of it; `null` until then."}
    )
    result_url = UrlPath(allow_none=True, metadata={"description": "Where its file is; kept for 7 days."})
    error = fields.Nested(JobErrorSchema, dump_only=True, allow_none=True)
    created_at = Timestamp(dump_only=True)
    started_at = Timestamp(dump_only=True, allow_none=True)
    finished_at = Timestamp(dump_only=True, allow_none=True)
