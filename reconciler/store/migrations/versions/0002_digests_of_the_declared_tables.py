"""Digests of the declared tables

The table stays empty: it is unknown what the rows were when they were applied, and digests of their present state would hide
drift. Until the next apply writes digests, everything counts as drifted and is read and compared in full.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "digests",
        sa.Column("table_name", sa.String(length=32), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("table_name", "bucket", name=op.f("pk_digests")),
    )
