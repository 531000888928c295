"""Certificates are identified by their fingerprints, can be verified, and say when their next reminder is due"""

import sqlalchemy as sa
from alembic import op
from cryptography import x509

revision = "0013"
down_revision = "0012"

_INSTANT = sa.String(length=27)
_REBUILT = ("certificates", "outbox")


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    if on_sqlite:
        _take_out()
    with op.batch_alter_table("certificates") as table:
        table.drop_constraint("uq_certificates_issuer_id_serial", type_="unique")
        table.create_unique_constraint(
            op.f("uq_certificates_sha256_issuer_id_team_id_owner_id"), ["sha256", "issuer_id", "team_id", "owner_id"]
        )
        table.alter_column("serial", existing_type=sa.String(length=64), type_=sa.Text(), existing_nullable=False)
        table.add_column(sa.Column("issued_by", sa.Text(), server_default="", nullable=False))
        table.add_column(sa.Column("left_out", sa.Text(), server_default="[]", nullable=False))
        table.add_column(sa.Column("verified", sa.Boolean(), server_default="0", nullable=False))
        table.add_column(sa.Column("next_reminder_at", _INSTANT, nullable=True))
    for column in ("serial", "next_reminder_at"):
        op.create_index(op.f(f"ix_certificates_{column}"), "certificates", [column])
    if on_sqlite:
        _put_back()
    _name_issuers()
    op.add_column("issuers", sa.Column("ca_certificates", sa.Text(), server_default="[]", nullable=False))
    op.add_column("state", sa.Column("reminder_policy", sa.Text(), nullable=True))


def _take_out() -> None:
    """Empty the tables: SQLite drops a table to change its constraints, and so would delete what refers to its rows."""
    for table in _REBUILT:
        op.execute(f"CREATE TABLE {table}_before AS SELECT * FROM {table}")
    for table in reversed(_REBUILT):
        op.execute(f"DELETE FROM {table}")


def _put_back() -> None:
    op.execute("PRAGMA defer_foreign_keys = ON")  # a certificate may renew one with a higher number
    for table in _REBUILT:
        columns = ", ".join(column["name"] for column in sa.inspect(op.get_bind()).get_columns(f"{table}_before"))
        op.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {table}_before")
        op.execute(f"DROP TABLE {table}_before")


def _name_issuers() -> None:
    """Write who issued each certificate, as RFC 4514 does, with other characters than printable ones escaped."""
    bind = op.get_bind()
    certificates = sa.table("certificates", sa.column("id"), sa.column("pem"), sa.column("issued_by"))
    for number, pem in bind.execute(sa.select(certificates.c.id, certificates.c.pem)).all():
        try:
            name = x509.load_pem_x509_certificate(pem.encode()).issuer.rfc4514_string()
        except Exception:  # noqa: BLE001, S112 - the name stays empty: a certificate that is there already must not stop an upgrade
            continue
        shown = "".join(each if each.isprintable() else "".join(f"\\{byte:02X}" for byte in each.encode()) for each in name)
        bind.execute(certificates.update().where(certificates.c.id == number).values(issued_by=shown))
