"""What goes out of the audit log."""

from marshmallow import fields

from app.audit.models import ACTIONS, SUBJECT_TYPES
from app.core.http.client_address import ADDRESS_LENGTH
from app.core.schema import Choice, Id, Schema, Text, Timestamp

ACTOR = {"description": "`null`: nobody who was signed in, or a command of the operator."}
SUBJECT = {"description": "What was acted on; `null` of a failed sign-in to an account that does not exist."}
ADDRESS = {
    "description": "Where the request came from. `null`: none, of another member's own act, or of a deleted member."
}
REQUEST_ID = {"description": "The request's id, as it stands in the log of the service."}
DATA = {"description": "What else belongs to the act: ids, amounts in minor units, roles."}


class SubjectSchema(Schema):
    """What was acted on."""

    type = Choice(*SUBJECT_TYPES, dump_only=True)
    id = Id(dump_only=True)


class AuditRecordSchema(Schema):
    """One act: who did what to whom, when, and from which request."""

    id = Id(dump_only=True)
    action = Choice(*ACTIONS, dump_only=True)
    actor_id = Id(dump_only=True, allow_none=True, metadata=ACTOR)
    subject = fields.Nested(SubjectSchema, dump_only=True, allow_none=True, metadata=SUBJECT)
    address = Text(0, ADDRESS_LENGTH, dump_only=True, allow_none=True, metadata=ADDRESS)
    request_id = Text(1, 128, dump_only=True, allow_none=True, metadata=REQUEST_ID)
    data = fields.Dict(dump_only=True, metadata=DATA)
    created_at = Timestamp(dump_only=True)
