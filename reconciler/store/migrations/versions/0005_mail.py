"""The register of certificates, mail delivery, generated passwords that expire unused; an index of live credentials"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_INSTANT = sa.String(length=27)


def upgrade() -> None:
    op.create_table(
        "certificates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("issuer_id", sa.Integer(), nullable=True),
        sa.Column("issuer_name", sa.String(length=64), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=True),
        sa.Column("team_name", sa.String(length=64), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("owner_name", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("names", sa.Text(), server_default="[]", nullable=False),
        sa.Column("not_before", _INSTANT, nullable=False),
        sa.Column("not_after", _INSTANT, nullable=False),
        sa.Column("pem", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("renewal_url", sa.Text(), nullable=True),
        sa.Column("extra_addresses", sa.Text(), server_default="[]", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("tracked", sa.Boolean(), server_default="1", nullable=False),
        sa.Column("registered_at", _INSTANT, nullable=False),
        sa.Column("renews_id", sa.Integer(), nullable=True),
        sa.Column("renewed_at", _INSTANT, nullable=True),
        sa.Column("revoked_at", _INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["issuer_id"], ["issuers.id"], name=op.f("fk_certificates_issuer_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_certificates_team_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_certificates_owner_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["renews_id"], ["certificates.id"], name=op.f("fk_certificates_renews_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificates")),
        sa.UniqueConstraint("issuer_id", "serial", name=op.f("uq_certificates_issuer_id_serial")),
    )
    for columns in (["team_id"], ["owner_id"], ["renews_id"], ["not_after"]):
        op.create_index(op.f(f"ix_certificates_{'_'.join(columns)}"), "certificates", columns)

    op.execute("CREATE TABLE outbox_before AS SELECT id, template, user_id, created_at, sent_at, attempts, detail FROM outbox")
    op.drop_table("outbox")
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("template", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("certificate_id", sa.Integer(), nullable=True),
        sa.Column("recipient", sa.Text(), nullable=True),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", _INSTANT, nullable=True),
        sa.Column("claim", sa.String(length=32), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("sent_at", _INSTANT, nullable=True),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_outbox_user_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["certificate_id"], ["certificates.id"], name=op.f("fk_outbox_certificate_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.execute(
        "INSERT INTO outbox (id, template, user_id, created_at, sent_at, attempts, detail)"
        " SELECT id, template, user_id, created_at, sent_at, attempts, detail FROM outbox_before"
    )
    op.drop_table("outbox_before")
    for column in ("user_id", "certificate_id", "sent_at"):
        op.create_index(op.f(f"ix_outbox_{column}"), "outbox", [column])
    waiting = sa.text("sent_at IS NULL AND ended_at IS NULL")
    op.create_index("ix_outbox_waiting", "outbox", ["next_attempt_at"], sqlite_where=waiting, postgresql_where=waiting)
    op.add_column("account_states", sa.Column("password_expires_at", _INSTANT, nullable=True))
    op.add_column("state", sa.Column("reminded_until", _INSTANT, nullable=True))
    unrevoked = sa.text("revoked_at IS NULL")
    op.create_index(
        "ix_tokens_unrevoked", "tokens", ["user_id", "expires_at"], sqlite_where=unrevoked, postgresql_where=unrevoked
    )
