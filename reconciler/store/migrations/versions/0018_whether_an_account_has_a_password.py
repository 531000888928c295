"""Whether an account has a password, for those who may not read its hash"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    stored = op.get_bind().dialect.name != "sqlite"  # SQLite adds only columns that it computes when they are read
    made = sa.Computed("password_hash IS NOT NULL", persisted=stored)
    op.add_column("account_states", sa.Column("has_password", sa.Boolean(), made))
