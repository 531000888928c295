"""A table of its own for passwords sent to a directory, out of the failures by address"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_INSTANT = sa.String(length=27)


def upgrade() -> None:
    op.create_table(
        "directory_attempts",
        sa.Column("guid", sa.String(length=36), nullable=False),
        sa.Column("wrong", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_wrong_at", _INSTANT, nullable=True),
        sa.Column("wrong_until", _INSTANT, nullable=True),
        sa.Column("under_way", sa.Integer(), server_default="0", nullable=False),
        sa.Column("under_way_until", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("guid", name=op.f("pk_directory_attempts")),
    )
    op.execute(
        "INSERT INTO directory_attempts (guid, wrong, last_wrong_at, wrong_until, under_way, under_way_until)"
        " SELECT CASE WHEN address LIKE 'wrong:%' THEN substr(address, 7) ELSE substr(address, 6) END AS guid,"
        " max(CASE WHEN address LIKE 'wrong:%' THEN failures ELSE 0 END),"
        " max(CASE WHEN address LIKE 'wrong:%' THEN last_failed_at END),"
        " max(CASE WHEN address LIKE 'wrong:%' THEN next_login_at END),"
        " max(CASE WHEN address LIKE 'sent:%' THEN failures ELSE 0 END),"
        " max(CASE WHEN address LIKE 'sent:%' THEN next_login_at END)"
        " FROM login_failures WHERE address LIKE 'wrong:%' OR address LIKE 'sent:%' GROUP BY 1"
    )
    op.execute("DELETE FROM login_failures WHERE address LIKE 'wrong:%' OR address LIKE 'sent:%'")
