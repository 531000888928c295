"""Display names of teams, aliases for logging in, and the identifiers by which existing clients know resources"""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_KINDS = {"users": "User", "teams": "Team", "issuers": "Issuer"}
_PIECE = 10_000


def upgrade() -> None:
    op.add_column("users", sa.Column("logins", sa.Text(), server_default="[]", nullable=False))
    op.add_column("teams", sa.Column("display_name", sa.Text(), nullable=True))
    op.create_table(
        "login_aliases",
        sa.Column("alias", sa.String(length=256), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_login_aliases_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("alias", name=op.f("pk_login_aliases")),
    )
    op.create_index(op.f("ix_login_aliases_user_id"), "login_aliases", ["user_id"])
    for table, kind in _KINDS.items():
        op.add_column(table, sa.Column("certdog_id", sa.String(length=24), nullable=True))
        op.add_column(table, sa.Column("public_id", sa.String(length=24), server_default="", nullable=False))
        _derive(table, kind)
        for name, column, unique, condition in (
            ("certdog_id", "certdog_id", False, "certdog_id IS NOT NULL"),
            ("public_id", "public_id", True, "public_id <> ''"),
            ("underived", "name", False, "public_id = ''"),
        ):
            where = sa.text(condition)
            op.create_index(f"ix_{table}_{name}", table, [column], unique=unique, sqlite_where=where, postgresql_where=where)


def _derive(table: str, kind: str) -> None:
    """Give every row the identifier that follows from its name: names are unique, and so are 96 bits of their hashes."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        digest = f"encode(sha256(convert_to('{kind}:' || name, 'UTF8')), 'hex')"
        op.execute(f"UPDATE {table} SET public_id = substr({digest}, 1, 24)")
        return
    last = 0
    while rows := connection.exec_driver_sql(
        f"SELECT id, name FROM {table} WHERE id > ? ORDER BY id LIMIT {_PIECE}", (last,)
    ).all():
        last = rows[-1][0]
        found = [(hashlib.sha256(f"{kind}:{name}".encode()).hexdigest()[:24], number) for number, name in rows]
        connection.exec_driver_sql(f"UPDATE {table} SET public_id = ? WHERE id = ?", found)
