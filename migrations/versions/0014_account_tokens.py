"""Tokens that are mailed to members: to reset a password, and to verify an address."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def text(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "account_tokens",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("purpose", text(20), nullable=False),
        sa.Column("address", text(120), nullable=False),
        sa.Column("nonce", text(32), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "purpose IN ('password-reset', 'email-verification')", name=op.f("ck_account_tokens_purpose")
        ),
        sa.CheckConstraint("length(address) BETWEEN 0 AND 120", name=op.f("ck_account_tokens_address_length")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_account_tokens_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_tokens")),
        sa.UniqueConstraint("nonce", name=op.f("uq_account_tokens_nonce")),
        sa.UniqueConstraint("user_id", "purpose", name=op.f("uq_account_tokens_user_id_purpose")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_account_tokens_expires_at"), "account_tokens", ["expires_at"])


def downgrade() -> None:
    op.drop_table("account_tokens")
