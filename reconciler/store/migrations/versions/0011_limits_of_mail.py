"""Limits of mail: hosts that an issuer's links lead to, who wrote what a mail quotes, quotas, and an index by kind of mail"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_WAITING = sa.text("sent_at IS NULL AND ended_at IS NULL")


def upgrade() -> None:
    op.add_column("issuers", sa.Column("link_hosts", sa.Text(), server_default="[]", nullable=False))
    op.add_column("certificates", sa.Column("described_by", sa.String(length=64), server_default="", nullable=False))
    op.create_table(
        "mail_quotas",
        sa.Column("holder", sa.String(length=32), nullable=False),
        sa.Column("period", sa.String(length=4), nullable=False),
        sa.Column("began_at", sa.String(length=27), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("holder", "period", name=op.f("pk_mail_quotas")),
    )
    op.create_index(
        "ix_outbox_turns", "outbox", ["template", "next_attempt_at"], sqlite_where=_WAITING, postgresql_where=_WAITING
    )
