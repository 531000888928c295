"""The mark of the newest generation, beside its number"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    # for some hours 0006 made this column
    if "mark" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("state")}:
        op.add_column("state", sa.Column("mark", sa.String(length=16), server_default="", nullable=False))
