"""Jobs have a queue, and a place in it that is fair to all members; a message is about no job in particular."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
QUEUE = sa.String(20).with_variant(sa.String(20, collation="C"), "postgresql")
UNFINISHED = dict.fromkeys(("postgresql_where", "sqlite_where"), sa.text("finished_at IS NULL"))
INDEXES = (("queue", "turn"), ("caused_by_id", "queue", "turn"))


def upgrade() -> None:
    op.drop_column("jobs", "published_at")
    op.add_column("jobs", sa.Column("queue", QUEUE, server_default="agora", nullable=False))
    op.add_column("jobs", sa.Column("caused_by_id", ID, nullable=True))
    op.add_column("jobs", sa.Column("turn", ID, server_default=sa.text("0"), nullable=False))
    op.execute("UPDATE jobs SET caused_by_id = user_id WHERE finished_at IS NULL")
    op.execute("UPDATE jobs SET queue = 'agora-mail' WHERE kind = 'email' AND finished_at IS NULL")
    for columns in INDEXES:
        op.create_index(op.f(f"ix_jobs_{'_'.join(columns)}"), "jobs", list(columns), **UNFINISHED)


def downgrade() -> None:
    for columns in INDEXES:
        op.drop_index(op.f(f"ix_jobs_{'_'.join(columns)}"), "jobs")
    for column in ("queue", "caused_by_id", "turn"):
        op.drop_column("jobs", column)
    op.add_column("jobs", sa.Column("published_at", sa.DateTime(timezone=True), nullable=True))
