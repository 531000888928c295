"""What each recent generation touched"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "generations",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("mark", sa.String(length=16), nullable=False),
        sa.Column("names", sa.Integer(), nullable=False),
        sa.Column("touched", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("generation", name=op.f("pk_generations")),
    )
