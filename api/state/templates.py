"""The declared templates of mails."""

from __future__ import annotations

from sqlalchemy import text

from reconciler.access.resources import EmailTemplate
from reconciler.store.engine import Connection
from reconciler.store.rows import COLUMNS, read_template


def declared_template(connection: Connection, name: str) -> EmailTemplate | None:
    """The template that Git declares for a mail, if it declares one. Raises StoreError."""
    query = text(f"SELECT {COLUMNS['email_templates']} FROM email_templates WHERE name = :name")
    row = connection.execute(query, {"name": name}).first()
    return None if row is None else read_template(row)
