"""Notifications at their URLs."""

from typing import Any

from app.core.caller import Caller
from app.core.errors import NotFound
from app.core.lists.listing import Filter, Listing
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource
from app.notifications import service
from app.notifications.models import Notification
from app.notifications.schemas import NotificationSchema

NOTIFICATIONS = Listing(
    "notifications",
    NotificationSchema,
    Notification,
    sort={"created_at": Notification.created_at},
    filters={
        "kind": Filter(Notification.kind),
        "read": Filter(Notification.read),
        "created_at": Filter(Notification.created_at),
    },
    extend=service.all_shown,
)


class NotificationList(Resource):
    """The caller's notifications."""

    @endpoint(permission="notification:read", listing=NOTIFICATIONS)
    def get(self, caller: Caller) -> Any:
        """List your notifications."""
        return service.list_notifications(caller)


class NotificationItem(Resource):
    """One of the caller's notifications."""

    @endpoint(permission="notification:read", response=NotificationSchema, errors=(NotFound,))
    def get(self, caller: Caller, notification_id: int) -> Any:
        """Read one of your notifications."""
        return service.get_notification(caller, notification_id)

    @endpoint(
        permission="notification:write",
        load=service.own_notification,
        body=NotificationSchema,
        response=NotificationSchema,
        errors=(NotFound,),
    )
    def patch(self, caller: Caller, notification: Notification, **changes: Any) -> Any:
        """Mark a notification as seen or not seen: `read`."""
        return service.update_notification(caller, notification, **changes)
