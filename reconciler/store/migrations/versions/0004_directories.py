"""Directory accounts, and the directory groups that teams name"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "directory_accounts",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=36), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("dn", sa.Text(), nullable=False),
        sa.Column("read_at", sa.String(length=27), nullable=False),
        sa.Column("missing_since", sa.String(length=27), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_directory_accounts_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_directory_accounts")),
        sa.UniqueConstraint("guid", name=op.f("uq_directory_accounts_guid")),
    )
    op.create_index(op.f("ix_directory_accounts_read_at"), "directory_accounts", ["read_at"])
    op.create_table(
        "directory_groups",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sid", sa.String(length=184), nullable=False),
        sa.Column("resolved_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_directory_groups")),
    )
    op.add_column("directory_memberships", sa.Column("ad_group", sa.Text(), nullable=True))
