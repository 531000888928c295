"""Reminders of API tokens that expire"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_EXPIRING = sa.text("kind = 'token' AND revoked_at IS NULL")


def upgrade() -> None:
    op.add_column("tokens", sa.Column("reminded_days", sa.Integer(), nullable=True))
    op.create_index("ix_tokens_expiring", "tokens", ["expires_at"], sqlite_where=_EXPIRING, postgresql_where=_EXPIRING)
