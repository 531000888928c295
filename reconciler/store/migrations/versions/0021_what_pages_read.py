"""What lists are searched, filtered and sorted by; the lines of declared facts; the access that a revision changed"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

_SEARCHED = "lower(name || '\n' || email || '\n' || coalesce(full_name, '') || '\n' || logins)"
_DECLARED = ("users", "teams", "issuers", "email_templates", "settings")


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in _DECLARED:
        op.add_column(table, sa.Column("line", sa.Integer(), nullable=True))
    op.add_column("teams", sa.Column("item_lines", sa.Text(), nullable=True))
    # SQLite adds only columns that it computes when they are read
    op.add_column("users", sa.Column("searched", sa.Text(), sa.Computed(_SEARCHED, persisted=not is_sqlite), nullable=True))
    if is_sqlite:  # entries of PostgreSQL's indexes may not be as long as an account's texts
        op.create_index("ix_users_searched", "users", ["name", "searched"])
    op.create_index("ix_users_source", "users", ["source", "name"])
    _partial("ix_users_disabled", "users", ["name"], "disabled_by_git")
    op.create_index("ix_account_states_last_login", "account_states", ["last_login_at", "user_id"])
    _partial("ix_account_states_disabled", "account_states", ["user_id"], "disabled_by_directory OR disabled_by_administrator")
    op.create_index("ix_audit_actor", "audit", ["actor", "id"])
    op.create_index("ix_audit_action", "audit", ["action", "id"])
    op.create_index("ix_audit_at", "audit", ["at", "id"])
    op.create_index("ix_certificates_issuer", "certificates", ["issuer_id", "not_after"])
    _partial("ix_certificates_open", "certificates", ["not_after", "id"], "revoked_at IS NULL AND renewed_at IS NULL")
    _partial("ix_outbox_given_up", "outbox", ["id"], "given_up")
    op.create_table(
        "revision_access",
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["revision_id"], ["revisions.id"], name="fk_revision_access_revision_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("revision_id", name="pk_revision_access"),
    )


def _partial(name: str, table: str, columns: list[str], condition: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))
