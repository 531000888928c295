"""Certificates say which declared CA certificate verified them; SQLite gives no number of a certificate or message twice"""

import json
from functools import cache
from typing import Any

import sqlalchemy as sa
from alembic import op
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

revision = "0015"
down_revision = "0014"

_REBUILT = ("certificates", "outbox")


def upgrade() -> None:
    found = _found()
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    if on_sqlite:
        _take_out()
    # a table gets AUTOINCREMENT only when it is made, so SQLite makes both anew
    anew: dict[str, Any] = {"recreate": "always", "table_kwargs": {"sqlite_autoincrement": True}} if on_sqlite else {}
    with op.batch_alter_table("certificates", **anew) as table:
        table.drop_column("verified")
        table.add_column(sa.Column("verified_by", sa.String(length=64), nullable=True))
    if on_sqlite:
        with op.batch_alter_table("outbox", **anew):
            pass
        _put_back()
    certificates = sa.table("certificates", sa.column("id"), sa.column("verified_by"))
    one = certificates.update().where(certificates.c.id == sa.bindparam("number")).values(verified_by=sa.bindparam("by"))
    if found:
        op.get_bind().execute(one, [{"number": number, "by": by} for number, by in found.items()])


def _found() -> dict[int, str]:
    """The fingerprint of the CA certificate that verifies each verified certificate, if its issuer still declares it."""
    rows = op.get_bind().execute(
        sa.text("SELECT c.id, c.pem, i.ca_certificates FROM certificates c JOIN issuers i ON i.id = c.issuer_id WHERE c.verified")
    )
    found = {}
    read = cache(lambda text: x509.load_pem_x509_certificate(text.encode()))
    for number, pem, declared in rows:
        for text in json.loads(declared):
            try:
                certificate, authority = x509.load_pem_x509_certificate(pem.encode()), read(text)
                if certificate != authority:
                    certificate.verify_directly_issued_by(authority)
            except Exception:  # noqa: BLE001, S112 - another one, or none: it is unverified until it is registered again
                continue
            found[number] = authority.fingerprint(SHA256()).hex()
            break
    return found


def _take_out() -> None:
    """Empty the tables: SQLite drops a table to make it anew, and so would delete what refers to its rows."""
    for table in _REBUILT:
        op.execute(f"CREATE TABLE {table}_before AS SELECT * FROM {table}")
    for table in reversed(_REBUILT):
        op.execute(f"DELETE FROM {table}")


def _put_back() -> None:
    op.execute("PRAGMA defer_foreign_keys = ON")  # a certificate may renew one with a higher number
    for table in _REBUILT:
        inspector = sa.inspect(op.get_bind())
        kept = {column["name"] for column in inspector.get_columns(table)}
        columns = ", ".join(column["name"] for column in inspector.get_columns(f"{table}_before") if column["name"] in kept)
        op.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {table}_before")
        op.execute(f"DROP TABLE {table}_before")
