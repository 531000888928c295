"""Which credential minted a token, and whether the token succeeds it"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("tokens", sa.Column("minter", sa.String(length=32), nullable=True))
    op.add_column("tokens", sa.Column("succeeds", sa.Boolean(), server_default="0", nullable=False))
    op.create_index(op.f("ix_tokens_minter"), "tokens", ["minter"])
