"""A job says when its message was last published."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("ALTER TABLE jobs RENAME COLUMN rung_at TO published_at")


def downgrade() -> None:
    op.execute("ALTER TABLE jobs RENAME COLUMN published_at TO rung_at")
