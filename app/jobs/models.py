"""The table of jobs: what a worker has to do, is doing or has done. It, and no message, is the truth."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, CheckConstraint, ForeignKey, Index, SmallInteger, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.background.dispatcher import DEFAULT_QUEUE
from app.core.db.base import NEVER_REUSE_IDS, Base, Created, text_type

QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = STATUS = ("queued", "running", "succeeded", "failed", "cancelled")
FINISHED = (SUCCEEDED, FAILED, CANCELLED)
MESSAGE_LENGTH = 500
UNFINISHED: Any = dict.fromkeys(("postgresql_where", "sqlite_where"), text("finished_at IS NULL"))


class Job(Created):
    """A job. One without an owner is the service's own.

    ``attempts`` is also the number of the attempt under way: whoever has a smaller one has lost the job. A running job
    whose ``lease_until`` has passed has lost its worker.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("status IN ({})".format(", ".join(f"'{status}'" for status in STATUS)), name="status"),
        CheckConstraint(f"(finished_at IS NOT NULL) = (status IN {FINISHED})", name="finished"),
        UniqueConstraint("occasion"),
        Index(None, "user_id", "created_at", "id"),
        Index(None, "status", "due_at"),
        Index(None, "queue", "turn", **UNFINISHED),
        Index(None, "caused_by_id", "queue", "turn", **UNFINISHED),
        NEVER_REUSE_IDS,
    )

    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(text_type(50))
    status: Mapped[str] = mapped_column(text_type(10), default=QUEUED)
    queue: Mapped[str] = mapped_column(text_type(20), server_default=DEFAULT_QUEUE)
    # The member whose doing has led to it, and its place among the jobs of all members: see service.turn_of.
    caused_by_id: Mapped[int | None]
    turn: Mapped[int] = mapped_column(server_default=text("0"))
    params: Mapped[dict[str, Any]] = mapped_column(JSON)
    # What a job on a timetable is done for, like "ledger.check@12": it is done once, whoever asks.
    occasion: Mapped[str | None] = mapped_column(text_type(80))
    request_id: Mapped[str | None] = mapped_column(text_type(128))
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    due_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    cancel_requested: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int | None]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    result_key: Mapped[str | None] = mapped_column(text_type(100))
    result_type: Mapped[str | None] = mapped_column(text_type(100))
    result_size: Mapped[int | None]  # bytes
    result_name: Mapped[str | None] = mapped_column(text_type(100))
    error_code: Mapped[str | None] = mapped_column(text_type(50))
    error_message: Mapped[str | None] = mapped_column(text_type(MESSAGE_LENGTH))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Heartbeat(Base):
    """When a part of the service was last seen alive."""

    __tablename__ = "heartbeats"

    name: Mapped[str] = mapped_column(text_type(20), primary_key=True)
    seen_at: Mapped[datetime]
