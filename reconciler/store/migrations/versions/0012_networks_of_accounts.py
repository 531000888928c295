"""Failed logins of an account by network, and the networks that it logged in from"""

from ipaddress import ip_address, ip_network

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    networks = op.create_table(
        "account_networks",
        sa.Column("account", sa.String(length=36), nullable=False),
        sa.Column("network", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("last_login_at", sa.String(length=27), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_failed_at", sa.String(length=27), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_account_networks_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("account", "network", name=op.f("pk_account_networks")),
    )
    op.create_index(op.f("ix_account_networks_user_id"), "account_networks", ["user_id"])
    op.add_column("directory_attempts", sa.Column("password_set_at", sa.String(length=27), nullable=True))
    rows = op.get_bind().execute(
        sa.text(
            "SELECT a.user_id, d.guid, a.last_login_address, a.last_login_at FROM account_states a"
            " LEFT JOIN directory_accounts d ON d.user_id = a.user_id WHERE a.last_login_at IS NOT NULL"
        )
    )
    known = [
        {"account": guid or str(user_id), "network": network, "user_id": user_id, "last_login_at": at}
        for user_id, guid, address, at in rows
        if (network := _network(address or ""))
    ]
    if known:
        op.bulk_insert(networks, known)
    for name in ("failed_logins", "next_login_at"):
        op.drop_column("account_states", name)


def _network(address: str) -> str | None:
    try:
        found = ip_address(address)
    except ValueError:
        return None
    return str(found) if found.version == 4 else str(ip_network((int(found), 64), strict=False))
