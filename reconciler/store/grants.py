"""What a PostgreSQL account needs that only reads declared facts and what a plan counts: nothing secret is in it."""

from __future__ import annotations

from collections.abc import Mapping

_WHOLE = (
    *("alembic_version", "audit", "digests", "directory_memberships", "email_templates", "issuers", "memberships", "permissions"),
    *("login_aliases", "overrides", "previous_names", "revisions", "settings", "state", "teams", "users"),
)
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "account_states": (
        *("user_id", "has_password", "password_expires_at", "disabled_by_directory", "disabled_by_administrator"),
    ),
    "tokens": ("user_id", "kind", "expires_at", "revoked_at"),
    "outbox": ("user_id", "template", "sent_at", "ended_at"),
}
"""Tables with secrets, or with what people do, and the columns that a plan reads."""


def reading_grants(role: str) -> list[str]:
    """Return the statements that let a role plan, and take from it whatever else it may do with these tables."""
    to = '"' + role.replace('"', '""') + '"'
    return [
        f"REVOKE ALL ON {', '.join((*_WHOLE, *_COLUMNS))} FROM {to};",
        f"GRANT SELECT ON {', '.join(_WHOLE)} TO {to};",
        *(f"GRANT SELECT ({', '.join(columns)}) ON {table} TO {to};" for table, columns in _COLUMNS.items()),
    ]
