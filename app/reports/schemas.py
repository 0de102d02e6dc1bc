"""What comes in of reports."""

from datetime import datetime
from typing import Any

from marshmallow import ValidationError

from app.core import parameters
from app.core.schema import Choice, Schema, Timestamp
from app.reports.content import COMMUNITY, CSV, JSON, PDF, SALES, STATEMENT


class Moment(Timestamp):
    """A moment as it may be sent: RFC 3339, with its time zone."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            moment: datetime = parameters.MOMENT.parse(value if isinstance(value, str) else "")
        except ValueError as error:
            raise ValidationError(str(error)) from None
        return moment


class NewReportSchema(Schema):
    """A report to be written. Its period begins with `since`, and ends before `until`."""

    kind = Choice(STATEMENT, SALES, COMMUNITY, required=True)
    format = Choice(CSV, JSON, PDF, required=True)
    since = Moment(metadata={"description": "Where the period begins; by default with the first entry."})
    until = Moment(metadata={"description": "Where the period ends; by default, and at the latest, now."})
