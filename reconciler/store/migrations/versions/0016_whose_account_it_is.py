"""Users may say whose account it is"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_IDENTIFIED = sa.text("identity IS NOT NULL")


def upgrade() -> None:
    op.add_column("users", sa.Column("identity", sa.Text(), nullable=True))
    op.create_index("ix_users_identity", "users", ["identity"], sqlite_where=_IDENTIFIED, postgresql_where=_IDENTIFIED)
