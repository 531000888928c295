"""Settings delegate folders; a guard can refuse new administrators; overrides that hold until an instant"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("settings", sa.Column("delegation", sa.Text(), server_default="[]", nullable=False))
    settings = sa.table("settings", sa.column("id"), sa.column("guards"))
    for number, guards in op.get_bind().execute(sa.select(settings.c.id, settings.c.guards)).all():
        try:
            limits = {**json.loads(guards), "refuse_new_administrators": False}
        except (ValueError, TypeError):  # written by hand: who reads it says so
            continue
        text = json.dumps(limits, separators=(",", ":"), ensure_ascii=False)
        op.execute(settings.update().where(settings.c.id == number).values(guards=text))
    op.create_table(
        "overrides",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guard", sa.String(length=64), nullable=False),
        sa.Column("subjects", sa.Text(), nullable=False),
        sa.Column("weight", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.String(length=27), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("overridden_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_overrides")),
        sa.UniqueConstraint("guard", "subjects", name=op.f("uq_overrides_guard_subjects")),
    )
