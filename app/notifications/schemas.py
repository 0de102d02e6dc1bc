"""What comes in and goes out of notifications."""

from marshmallow import fields

from app.core.schema import Boolean, Choice, Id, Schema, Text, Timestamp
from app.notifications.models import KINDS

DATA = {"description": "What it is about, for programs: ids, amounts in minor units, a job's result or error."}


class NotificationSchema(Schema):
    """A notification of a member."""

    id = Id(dump_only=True)
    kind = Choice(*KINDS, dump_only=True)
    message = Text(1, 1000, dump_only=True, metadata={"description": "A sentence for a person."})
    data = fields.Dict(dump_only=True, metadata=DATA)
    read = Boolean(metadata={"description": "Whether the member has seen it."})
    created_at = Timestamp(dump_only=True)
    updated_at = Timestamp(dump_only=True)
