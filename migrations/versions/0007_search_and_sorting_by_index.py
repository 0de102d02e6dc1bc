"""search and sorting by index

Revises: 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SEARCHABLE = ("users", "posts", "products")


def upgrade() -> None:
    for table in SEARCHABLE:
        op.create_search_index(table)
    op.drop_index(op.f("ix_posts_user_id_created_at_id"), "posts")
    op.create_index(
        op.f("ix_posts_user_id_created_at_id"),
        "posts",
        ["user_id", "created_at", "id"],
        postgresql_include=["is_hidden"],
    )
    op.create_index(op.f("ix_orders_buyer_id_total_id"), "orders", ["buyer_id", "total", "id"])
    op.create_index(op.f("ix_orders_seller_id_total_id"), "orders", ["seller_id", "total", "id"])
    op.create_index(op.f("ix_transfers_amount_id"), "transfers", ["amount", "id"])
    op.create_index(op.f("ix_sessions_user_id_created_at_id"), "sessions", ["user_id", "created_at", "id"])
    op.drop_index(op.f("ix_sessions_user_id"), "sessions")


def downgrade() -> None:
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"])
    op.drop_index(op.f("ix_sessions_user_id_created_at_id"), "sessions")
    op.drop_index(op.f("ix_transfers_amount_id"), "transfers")
    op.drop_index(op.f("ix_orders_seller_id_total_id"), "orders")
    op.drop_index(op.f("ix_orders_buyer_id_total_id"), "orders")
    op.drop_index(op.f("ix_posts_user_id_created_at_id"), "posts")
    op.create_index(op.f("ix_posts_user_id_created_at_id"), "posts", ["user_id", "created_at", "id"])
    for table in SEARCHABLE:
        op.drop_search_index(table)
