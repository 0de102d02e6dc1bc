"""The audit log at its URL."""

from typing import Any

from app.audit import service
from app.audit.models import AuditRecord
from app.audit.schemas import AuditRecordSchema
from app.core.caller import Caller
from app.core.lists.listing import Filter, Listing
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource

AUDIT = Listing(
    "audit",
    AuditRecordSchema,
    AuditRecord,
    sort={"created_at": AuditRecord.created_at},
    filters={
        "action": Filter(AuditRecord.action),
        "actor_id": Filter(AuditRecord.actor_id),
        "created_at": Filter(AuditRecord.created_at),
    },
    extend=service.all_shown,
)


class AuditList(Resource):
    """The audit log."""

    @endpoint(permission="audit:read", listing=AUDIT)
    def get(self, caller: Caller) -> Any:
        """List who did what to whom, when and from where: what you did, and what was done to you or to what is yours.

        Admins see all. No record is ever changed; how long they are kept is a setting, by default 400 days.
        """
        return service.list_audit(caller)
