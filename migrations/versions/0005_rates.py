"""rates

Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


MOMENT = sa.DateTime(timezone=True)


def text(length: int) -> sa.String:
    """A text that sorts by code point on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "rates",
        sa.Column("base", text(3), nullable=False),
        sa.Column("currency", text(3), nullable=False),
        sa.Column("rate", text(32), nullable=False),
        sa.Column("as_of", MOMENT, nullable=False),
        sa.Column("fetched_at", MOMENT, nullable=False),
        sa.CheckConstraint("length(base) BETWEEN 3 AND 3", name=op.f("ck_rates_base_length")),
        sa.CheckConstraint("length(currency) BETWEEN 3 AND 3", name=op.f("ck_rates_currency_length")),
        sa.CheckConstraint("length(rate) BETWEEN 1 AND 32", name=op.f("ck_rates_rate_length")),
        sa.PrimaryKeyConstraint("base", "currency", name=op.f("pk_rates")),
    )


def downgrade() -> None:
    op.drop_table("rates")
