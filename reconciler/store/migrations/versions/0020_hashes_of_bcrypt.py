"""Hashes of bcrypt that were taken over, and the costliest of them, found at once"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

_COST = "CASE WHEN substr(password_hash, 1, 2) = '$2' THEN substr(password_hash, 5, 2) END"
_BCRYPT = sa.text("bcrypt_cost IS NOT NULL")


def upgrade() -> None:
    stored = op.get_bind().dialect.name != "sqlite"  # SQLite adds only columns that it computes when they are read
    op.add_column("account_states", sa.Column("bcrypt_cost", sa.Text(), sa.Computed(_COST, persisted=stored)))
    op.create_index("ix_account_states_bcrypt", "account_states", ["bcrypt_cost"], sqlite_where=_BCRYPT, postgresql_where=_BCRYPT)
