"""A column for mails that were given up, instead of the beginning of their last error"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("outbox", sa.Column("given_up", sa.Boolean(), server_default="0", nullable=False))
    op.execute(
        "UPDATE outbox SET given_up = true, last_error = substr(last_error, 11)"
        " WHERE sent_at IS NULL AND ended_at IS NOT NULL AND last_error LIKE 'given up: %'"
    )
