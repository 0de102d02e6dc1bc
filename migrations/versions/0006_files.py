"""files

Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
AUTOINCREMENT = {"sqlite_autoincrement": True}


def text(length: int) -> sa.String:
    """A text that sorts by code point on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("name", text(255), nullable=False),
        sa.Column("content_type", text(100), nullable=False),
        sa.Column("size", ID, nullable=False),
        sa.Column("sha256", text(64), nullable=False),
        sa.Column("storage_key", text(100), nullable=False),
        sa.Column("is_public", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("awaits_thumbnail", sa.Boolean(), nullable=False),
        sa.Column("thumbnail_key", text(100), nullable=True),
        sa.Column("thumbnail_size", ID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name=op.f("ck_files_name_length")),
        sa.CheckConstraint("length(content_type) BETWEEN 1 AND 100", name=op.f("ck_files_content_type_length")),
        sa.CheckConstraint("size > 0", name=op.f("ck_files_size_positive")),
        sa.CheckConstraint("(thumbnail_key IS NULL) = (thumbnail_size IS NULL)", name=op.f("ck_files_thumbnail_size")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_files_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sa.UniqueConstraint("storage_key", name=op.f("uq_files_storage_key")),
        sa.UniqueConstraint("thumbnail_key", name=op.f("uq_files_thumbnail_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_files_user_id_created_at_id"), "files", ["user_id", "created_at", "id"])
    with op.batch_alter_table("products", table_kwargs=AUTOINCREMENT) as products:
        products.add_column(sa.Column("image_id", ID, nullable=True))
        products.create_foreign_key(
            op.f("fk_products_image_id_files"), "files", ["image_id"], ["id"], ondelete="SET NULL"
        )
        products.create_index(op.f("ix_products_image_id"), ["image_id"])


def downgrade() -> None:
    with op.batch_alter_table("products", table_kwargs=AUTOINCREMENT) as products:
        products.drop_index(op.f("ix_products_image_id"))
        products.drop_constraint(op.f("fk_products_image_id_files"), type_="foreignkey")
        products.drop_column("image_id")
    op.drop_table("files")
