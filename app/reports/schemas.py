"""What comes in of reports."""

from app.core.schema import Choice, Schema, Timestamp
from app.reports.content import ACCOUNT, COMMUNITY, CSV, JSON, PDF, SALES, STATEMENT


class NewReportSchema(Schema):
    """A report to be written. Its period begins with `since`, and ends before `until`; an `account` has none."""

    kind = Choice(STATEMENT, SALES, COMMUNITY, ACCOUNT, required=True)
    format = Choice(CSV, JSON, PDF, required=True, metadata={"description": "Of an `account`, `json` alone."})
    since = Timestamp(metadata={"description": "Where the period begins; by default with the first entry."})
    until = Timestamp(metadata={"description": "Where the period ends; by default, and at the latest, now."})
