"""A session may be fresh, and its cookies may outlive the browser; none that was begun before is or does."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("fresh_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("sessions", sa.Column("remember", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    op.drop_column("sessions", "remember")
    op.drop_column("sessions", "fresh_until")
