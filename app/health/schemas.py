"""What goes out of health."""

from marshmallow import fields

from app.core.schema import MAX_ID, Choice, Integer, Schema

STATUS = ("healthy", "unhealthy")


class HealthSchema(Schema):
    """Whether the process answers."""

    status = Choice(*STATUS, dump_only=True)


class ReadinessSchema(Schema):
    """Whether what the service needs is there, and which parts it does without for now."""

    status = Choice(*STATUS, dump_only=True)
    checks = fields.Dict(keys=fields.String(), values=fields.Boolean(), dump_only=True)
    degraded = fields.List(fields.String(), dump_only=True)
    tick_age = Integer(
        0,
        MAX_ID,
        dump_only=True,
        allow_none=True,
        metadata={"description": "Seconds since the scheduler was last at work; `null` if it never was."},
    )
