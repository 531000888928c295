"""The first tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), server_default="", nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("revision_id", sa.Integer(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_kind_name", "audit", ["kind", "name"], unique=False)
    op.create_index(op.f("ix_audit_revision_id"), "audit", ["revision_id"], unique=False)
    op.create_table(
        "previous_names",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("kind", "previous", name=op.f("pk_previous_names")),
    )
    op.create_table(
        "revisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("commit_sha", sa.String(length=64), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("committed_at", sa.String(length=27), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("repository", sa.Text(), nullable=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("applied_at", sa.String(length=27), nullable=False),
        sa.Column("applied_by", sa.Text(), nullable=False),
        sa.Column("plan_digest", sa.String(length=71), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("overrides", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("accord_version", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revisions")),
    )
    op.create_index(op.f("ix_revisions_applied_at"), "revisions", ["applied_at"], unique=False)
    op.create_index(op.f("ix_revisions_commit_sha"), "revisions", ["commit_sha"], unique=False)
    op.create_table(
        "state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("audit_count", sa.Integer(), nullable=False),
        sa.Column("audit_head", sa.String(length=64), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_state_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_state")),
    )
    op.create_table(
        "email_templates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=True),
        sa.Column("labels", sa.Text(), server_default="{}", nullable=False),
        sa.Column("previously", sa.Text(), server_default="[]", nullable=False),
        sa.Column("file", sa.Text(), nullable=True),
        sa.Column("revision_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("name = lower(name)", name=op.f("ck_email_templates_lower_case")),
        sa.ForeignKeyConstraint(["revision_id"], ["revisions.id"], name=op.f("fk_email_templates_revision_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_email_templates")),
        sa.UniqueConstraint("name", name=op.f("uq_email_templates_name")),
    )
    op.create_index(
        "ix_email_templates_foreign",
        "email_templates",
        ["name"],
        unique=False,
        sqlite_where=sa.text("file IS NULL"),
        postgresql_where=sa.text("file IS NULL"),
    )
    op.create_table(
        "issuers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default="1", nullable=False),
        sa.Column("labels", sa.Text(), server_default="{}", nullable=False),
        sa.Column("previously", sa.Text(), server_default="[]", nullable=False),
        sa.Column("file", sa.Text(), nullable=True),
        sa.Column("revision_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("name = lower(name)", name=op.f("ck_issuers_lower_case")),
        sa.ForeignKeyConstraint(["revision_id"], ["revisions.id"], name=op.f("fk_issuers_revision_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_issuers")),
        sa.UniqueConstraint("name", name=op.f("uq_issuers_name")),
    )
    op.create_index(
        "ix_issuers_foreign",
        "issuers",
        ["name"],
        unique=False,
        sqlite_where=sa.text("file IS NULL"),
        postgresql_where=sa.text("file IS NULL"),
    )
    op.create_table(
        "settings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("guards", sa.Text(), nullable=False),
        sa.Column("policies", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), server_default="{}", nullable=False),
        sa.Column("previously", sa.Text(), server_default="[]", nullable=False),
        sa.Column("file", sa.Text(), nullable=True),
        sa.Column("revision_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("name = lower(name)", name=op.f("ck_settings_lower_case")),
        sa.ForeignKeyConstraint(["revision_id"], ["revisions.id"], name=op.f("fk_settings_revision_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settings")),
        sa.UniqueConstraint("name", name=op.f("uq_settings_name")),
    )
    op.create_index(
        "ix_settings_foreign",
        "settings",
        ["name"],
        unique=False,
        sqlite_where=sa.text("file IS NULL"),
        postgresql_where=sa.text("file IS NULL"),
    )
    op.create_table(
        "teams",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("administrator", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("ad_groups", sa.Text(), server_default="[]", nullable=False),
        sa.Column("permitted_ips", sa.Text(), server_default="[]", nullable=False),
        sa.Column("may_decide_for", sa.Text(), server_default="[]", nullable=False),
        sa.Column("suppress_issued_emails", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("suppress_reminder_emails", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("labels", sa.Text(), server_default="{}", nullable=False),
        sa.Column("previously", sa.Text(), server_default="[]", nullable=False),
        sa.Column("file", sa.Text(), nullable=True),
        sa.Column("revision_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("name = lower(name)", name=op.f("ck_teams_lower_case")),
        sa.ForeignKeyConstraint(["revision_id"], ["revisions.id"], name=op.f("fk_teams_revision_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_teams")),
        sa.UniqueConstraint("name", name=op.f("uq_teams_name")),
    )
    op.create_index(
        "ix_teams_foreign",
        "teams",
        ["name"],
        unique=False,
        sqlite_where=sa.text("file IS NULL"),
        postgresql_where=sa.text("file IS NULL"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=9), server_default="declared", nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("full_name", sa.Text(), nullable=True),
        sa.Column("type", sa.String(length=11), server_default="person", nullable=False),
        sa.Column("disabled_by_git", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("initial_password", sa.String(length=9), server_default="none", nullable=False),
        sa.Column("password_change_required_after", sa.String(length=27), nullable=True),
        sa.Column("labels", sa.Text(), server_default="{}", nullable=False),
        sa.Column("previously", sa.Text(), server_default="[]", nullable=False),
        sa.Column("file", sa.Text(), nullable=True),
        sa.Column("revision_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("source IN ('declared', 'directory')", name=op.f("ck_users_source")),
        sa.CheckConstraint("type IN ('person', 'application')", name=op.f("ck_users_type")),
        sa.CheckConstraint("name = lower(name)", name=op.f("ck_users_lower_case")),
        sa.ForeignKeyConstraint(["revision_id"], ["revisions.id"], name=op.f("fk_users_revision_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
    )
    op.create_index(
        "ix_users_foreign",
        "users",
        ["name"],
        unique=False,
        sqlite_where=sa.text("file IS NULL"),
        postgresql_where=sa.text("file IS NULL"),
    )
    op.create_table(
        "account_states",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("password_set_at", sa.String(length=27), nullable=True),
        sa.Column("password_change_required", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("disabled_by_directory", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("disabled_by_administrator", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("last_login_at", sa.String(length=27), nullable=True),
        sa.Column("last_login_address", sa.Text(), nullable=True),
        sa.Column("failed_logins", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_login_at", sa.String(length=27), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_account_states_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_account_states")),
    )
    op.create_table(
        "directory_memberships",
        sa.Column("team_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_directory_memberships_team_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_directory_memberships_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("team_id", "user_id", name=op.f("pk_directory_memberships")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_directory_memberships_user_id"), "directory_memberships", ["user_id"], unique=False)
    op.create_table(
        "memberships",
        sa.Column("team_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("until", sa.String(length=27), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_memberships_team_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_memberships_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("team_id", "user_id", name=op.f("pk_memberships")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_memberships_user_id"), "memberships", ["user_id"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("template", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.Column("sent_at", sa.String(length=27), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("detail", sa.Text(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_outbox_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index(op.f("ix_outbox_sent_at"), "outbox", ["sent_at"], unique=False)
    op.create_index(op.f("ix_outbox_user_id"), "outbox", ["user_id"], unique=False)
    op.create_table(
        "permissions",
        sa.Column("team_id", sa.Integer(), nullable=False),
        sa.Column("issuer_id", sa.Integer(), nullable=False),
        sa.Column("until", sa.String(length=27), nullable=True),
        sa.ForeignKeyConstraint(["issuer_id"], ["issuers.id"], name=op.f("fk_permissions_issuer_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_permissions_team_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("team_id", "issuer_id", name=op.f("pk_permissions")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_permissions_issuer_id"), "permissions", ["issuer_id"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=7), nullable=False),
        sa.Column("accessor", sa.String(length=32), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.Column("expires_at", sa.String(length=27), nullable=False),
        sa.Column("last_used_at", sa.String(length=27), nullable=True),
        sa.Column("last_used_address", sa.Text(), nullable=True),
        sa.Column("revoked_at", sa.String(length=27), nullable=True),
        sa.Column("issuers", sa.Text(), nullable=True),
        sa.Column("permitted_ips", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('session', 'token')", name=op.f("ck_tokens_kind")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("accessor", name=op.f("uq_tokens_accessor")),
        sa.UniqueConstraint("sha256", name=op.f("uq_tokens_sha256")),
    )
    op.create_index(op.f("ix_tokens_user_id"), "tokens", ["user_id"], unique=False)
    genesis = "0" * 64
    op.execute(f"INSERT INTO state (id, generation, audit_count, audit_head) VALUES (1, 0, 0, '{genesis}')")
