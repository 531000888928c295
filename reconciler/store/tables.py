"""The tables. Instants are fixed-width UTC text, so that they sort, compare and hash in the same way on every database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from reconciler.access.resources import Kind
from reconciler.store.errors import DatabaseCorrupt

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Instant(TypeDecorator[datetime]):
    """An aware datetime as `2026-12-31T18:00:00.000000Z`."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | str | None, dialect: Any) -> str | None:
        """Convert to text; text in the table's format stays as it is."""
        return instant_text(value) if isinstance(value, datetime) else value

    def process_result_value(self, value: str | None, dialect: Any) -> datetime | None:
        """Convert from text."""
        return None if value is None else read_instant(value)


@lru_cache(maxsize=4_096)
def instant_text(value: datetime) -> str:
    """Write an instant as the tables hold it."""
    in_utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    return in_utc.isoformat(timespec="microseconds")[:26] + "Z"


def read_instant(text: str) -> datetime:
    """Read an instant from a table. Raises DatabaseCorrupt unless it is one that Accord could have written."""
    try:
        if len(text) == 27 and text[10] == "T" and text[26] == "Z":
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise DatabaseCorrupt(
        f"the database has `{text}` instead of an instant such as `2026-12-31T18:00:00.000000Z`; "
        "somebody wrote it by hand, so correct it there"
    )


def _declared(name: str, *columns: Any) -> Table:
    return Table(
        name,
        metadata,
        Column("id", Integer, primary_key=True),
        Column("name", String(64), nullable=False, unique=True),
        *columns,
        Column("labels", Text, nullable=False, server_default="{}"),
        Column("previously", Text, nullable=False, server_default="[]"),
        Column("file", Text),  # NULL: Git never declared it
        Column("line", Integer),  # where its document begins; NULL: unknown
        Column("revision_id", Integer, ForeignKey("revisions.id")),
        CheckConstraint("name = lower(name)", name="lower_case"),
        Index(f"ix_{name}_foreign", "name", sqlite_where=text("file IS NULL"), postgresql_where=text("file IS NULL")),
    )


def _identified(table: str) -> tuple[Column[Any] | Index, ...]:
    """How existing clients know a resource: what Git declares, and what `public_ids` derives; empty for rows made by hand."""
    conditions = {"certdog_id": "certdog_id IS NOT NULL", "public_id": "public_id <> ''"}
    return (
        Column("certdog_id", String(24)),
        Column("public_id", String(24), nullable=False, server_default=""),
        *(
            Index(
                f"ix_{table}_{column}",
                column,
                unique=column == "public_id",  # a hand can write what is declared
                sqlite_where=text(condition),
                postgresql_where=text(condition),
            )
            for column, condition in conditions.items()
        ),
        Index(f"ix_{table}_underived", "name", sqlite_where=text(_UNDERIVED), postgresql_where=text(_UNDERIVED)),
    )


def _partial(name: str, condition: str, *columns: str) -> Index:
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default="0")


revisions = Table(
    "revisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("commit_sha", String(64), nullable=False, index=True),
    Column("author", Text, nullable=False),
    Column("committed_at", Instant, nullable=False),
    Column("summary", Text, nullable=False),
    Column("repository", Text, nullable=False),
    Column("branch", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("applied_at", Instant, nullable=False, index=True),
    Column("applied_by", Text, nullable=False),
    Column("plan_digest", String(71), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("overrides", Text, nullable=False),
    Column("counts", Text, nullable=False),
    Column("accord_version", Text, nullable=False),
)
revision_access = Table(
    "revision_access",
    metadata,
    Column("revision_id", Integer, ForeignKey("revisions.id", ondelete="CASCADE"), primary_key=True),
    Column("detail", Text, nullable=False),  # who gained and lost what with it, as JSON of a bounded size
)
_UNDERIVED = "public_id = ''"
_IDENTIFIED = "identity IS NOT NULL"
SEARCHED = "lower(name || '\n' || email || '\n' || coalesce(full_name, '') || '\n' || logins)"
"""What users are searched by. SQLite makes only letters of ASCII small."""
users = _declared(
    "users",
    Column("source", String(9), nullable=False, server_default="declared"),
    Column("email", Text, nullable=False),
    Column("full_name", Text),
    Column("type", String(11), nullable=False, server_default="person"),
    _flag("disabled_by_git"),
    Column("initial_password", String(9), nullable=False, server_default="none"),
    Column("password_change_required_after", Instant),
    Column("identity", Text),
    Column("logins", Text, nullable=False, server_default="[]"),
    *_identified("users"),
    Column("searched", Text, Computed(SEARCHED)),
    # entries of PostgreSQL's indexes may not be as long as an account's texts
    Index("ix_users_searched", "name", "searched").ddl_if(dialect="sqlite"),
    Index("ix_users_source", "source", "name"),
    _partial("ix_users_disabled", "disabled_by_git", "name"),
    Index("ix_users_identity", "identity", sqlite_where=text(_IDENTIFIED), postgresql_where=text(_IDENTIFIED)),
    CheckConstraint("source IN ('declared', 'directory')", name="source"),
    CheckConstraint("type IN ('person', 'application')", name="type"),
)
teams = _declared(
    "teams",
    Column("description", Text, nullable=False, server_default=""),
    _flag("administrator"),
    Column("ad_groups", Text, nullable=False, server_default="[]"),
    Column("permitted_ips", Text, nullable=False, server_default="[]"),
    Column("may_decide_for", Text, nullable=False, server_default="[]"),
    _flag("suppress_issued_emails"),
    _flag("suppress_reminder_emails"),
    Column("display_name", Text),
    Column("item_lines", Text),  # where its members, issuers, AD groups and permitted IPs stand, as JSON; NULL: unknown
    *_identified("teams"),
)
issuers = _declared(
    "issuers",
    Column("display_name", Text),
    Column("description", Text, nullable=False, server_default=""),
    Column("enabled", Boolean, nullable=False, server_default="1"),
    Column("link_hosts", Text, nullable=False, server_default="[]"),
    Column("ca_certificates", Text, nullable=False, server_default="[]"),
    *_identified("issuers"),
)
email_templates = _declared(
    "email_templates",
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("html", Text),
)
settings = _declared(
    "settings",
    Column("guards", Text, nullable=False),
    Column("policies", Text, nullable=False),
    Column("delegation", Text, nullable=False, server_default="[]"),
)
# links have no id: SQLite stores them only once, in key order
memberships = Table(
    "memberships",
    metadata,
    Column("team_id", Integer, ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("until", Instant),
    Column("reason", Text),
    sqlite_with_rowid=False,
)
permissions = Table(
    "permissions",
    metadata,
    Column("team_id", Integer, ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True),
    Column("issuer_id", Integer, ForeignKey("issuers.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("until", Instant),
    sqlite_with_rowid=False,
)
directory_memberships = Table(
    "directory_memberships",
    metadata,
    Column("team_id", Integer, ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("ad_group", Text),  # in the team's spelling
    sqlite_with_rowid=False,
)
directory_accounts = Table(
    "directory_accounts",
    metadata,
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("guid", String(36), nullable=False, unique=True),
    Column("domain", String(255), nullable=False),
    Column("dn", Text, nullable=False),
    Column("read_at", Instant, nullable=False, index=True),
    Column("missing_since", Instant),
)
directory_groups = Table(
    "directory_groups",
    metadata,
    Column("name", Text, primary_key=True),  # in the teams' spelling
    Column("sid", String(184), nullable=False),
    Column("resolved_at", Instant, nullable=False),
)
previous_names = Table(
    "previous_names",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("previous", String(64), primary_key=True),
    Column("name", String(64), nullable=False),
)
login_aliases = Table(
    "login_aliases",
    metadata,
    Column("alias", String(256), primary_key=True),  # folded: the index of `users.logins`, which holds
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
)
DISABLED_HERE = "disabled_by_directory OR disabled_by_administrator"
"""Whether the runtime disabled an account, for the text of a query: as in the index."""
_BCRYPT = "bcrypt_cost IS NOT NULL"
account_states = Table(
    "account_states",
    metadata,
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("password_hash", Text),
    Column("has_password", Boolean, Computed("password_hash IS NOT NULL")),  # for those who may not read the hash
    Column("password_set_at", Instant),
    Column("password_expires_at", Instant),  # only of a generated password that is still unused
    _flag("password_change_required"),
    _flag("disabled_by_directory"),
    _flag("disabled_by_administrator"),
    Column("last_login_at", Instant),
    Column("last_login_address", Text),
    Column("bcrypt_cost", Text, Computed("CASE WHEN substr(password_hash, 1, 2) = '$2' THEN substr(password_hash, 5, 2) END")),
    Index("ix_account_states_bcrypt", "bcrypt_cost", sqlite_where=text(_BCRYPT), postgresql_where=text(_BCRYPT)),
    Index("ix_account_states_last_login", "last_login_at", "user_id"),
    _partial("ix_account_states_disabled", DISABLED_HERE, "user_id"),
)
account_networks = Table(
    "account_networks",
    metadata,
    Column("account", String(36), primary_key=True),  # an account's ID, or its GUID in its directory
    Column("network", String(64), primary_key=True),
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), index=True),  # NULL: it does not exist here yet
    Column("last_login_at", Instant),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("last_failed_at", Instant),
)
_REPLACED = "kind = 'token' AND revoked_at IS NULL"
"""Which credentials somebody has to replace before they expire."""
tokens = Table(
    "tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", String(7), nullable=False),
    Column("accessor", String(32), nullable=False, unique=True),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("name", Text, nullable=False, server_default=""),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("last_used_at", Instant),
    Column("last_used_address", Text),
    Column("revoked_at", Instant),
    Column("issuers", Text),
    Column("permitted_ips", Text),
    _flag("password_change_required"),  # the session may do nothing else
    Column("minter", String(32), index=True),  # the accessor of the credential that minted it: numbers are used again
    _flag("succeeds"),  # its minter
    Column("reminded_days", Integer),  # before its end: the last reminder that was due; NULL: none yet
    CheckConstraint("kind IN ('session', 'token')", name="kind"),
    # ended ones are kept for a while, and a program may log in every minute
    Index(
        "ix_tokens_unrevoked",
        "user_id",
        "expires_at",
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
    Index("ix_tokens_expiring", "expires_at", sqlite_where=text(_REPLACED), postgresql_where=text(_REPLACED)),
)
login_failures = Table(
    "login_failures",
    metadata,
    Column("address", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_failed_at", Instant, nullable=False, index=True),
    Column("next_login_at", Instant, nullable=False),
)
directory_attempts = Table(
    "directory_attempts",
    metadata,
    Column("guid", String(36), primary_key=True),
    Column("wrong", Integer, nullable=False, server_default="0"),
    Column("last_wrong_at", Instant),
    Column("wrong_until", Instant),
    Column("under_way", Integer, nullable=False, server_default="0"),
    Column("under_way_until", Instant),
    Column("password_set_at", Instant),  # of the password that was tried, by the directory's clock
)
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("kind", String(16), nullable=False, server_default=""),
    Column("name", Text, nullable=False, server_default=""),
    Column("revision_id", Integer, index=True),
    Column("detail", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_audit_kind_name", "kind", "name"),
    Index("ix_audit_actor", "actor", "id"),
    Index("ix_audit_action", "action", "id"),
    Index("ix_audit_at", "at", "id"),
)
OPEN = "revoked_at IS NULL AND renewed_at IS NULL"
"""Whether somebody has to renew a certificate before it expires, for the text of a query."""
certificates = Table(
    "certificates",
    metadata,
    Column("id", Integer, primary_key=True),
    # certificates keep the names of deleted issuers, teams and owners
    Column("issuer_id", Integer, ForeignKey("issuers.id", ondelete="SET NULL")),
    Column("issuer_name", String(64), nullable=False),
    Column("team_id", Integer, ForeignKey("teams.id", ondelete="SET NULL"), index=True),
    Column("team_name", String(64), nullable=False),
    Column("owner_id", Integer, ForeignKey("users.id", ondelete="SET NULL"), index=True),
    Column("owner_name", String(64), nullable=False),
    Column("serial", Text, nullable=False, index=True),  # hexadecimal digits, lower case, no leading zeros
    Column("sha256", String(64), nullable=False),  # of the DER
    Column("subject", Text, nullable=False),
    Column("names", Text, nullable=False, server_default="[]"),  # subject alternative names
    Column("not_before", Instant, nullable=False),
    Column("not_after", Instant, nullable=False, index=True),
    Column("pem", Text, nullable=False),
    Column("url", Text),
    Column("renewal_url", Text),
    Column("extra_addresses", Text, nullable=False, server_default="[]"),
    Column("note", Text, nullable=False, server_default=""),
    Column("described_by", String(64), nullable=False, server_default=""),  # who wrote its links and note last
    Column("tracked", Boolean, nullable=False, server_default="1"),
    Column("registered_at", Instant, nullable=False),
    Column("renews_id", Integer, ForeignKey("certificates.id", ondelete="SET NULL"), index=True),
    Column("renewed_at", Instant),
    Column("revoked_at", Instant),
    Column("issued_by", Text, nullable=False, server_default=""),  # the certificate's own issuer, as RFC 4514 writes it
    Column("left_out", Text, nullable=False, server_default="[]"),  # what could not be read of the PEM
    Column("verified_by", String(64)),  # fingerprint of a declared CA certificate; verified while it is declared
    Index("ix_certificates_issuer", "issuer_id", "not_after"),
    _partial("ix_certificates_open", OPEN, "not_after", "id"),
    Column("next_reminder_at", Instant, index=True),  # when reminders must look at it; NULL: never again
    # not the serial number: anybody can make a certificate that has another's
    UniqueConstraint("sha256", "issuer_id", "team_id", "owner_id"),
    sqlite_autoincrement=True,  # applications keep the number
)
RUNTIME_SWITCHES = ("directory", "administrator")
"""Who can disable an account besides Git, each by a column `disabled_by_…` of `account_states`."""
WAITING = "sent_at IS NULL AND ended_at IS NULL"
"""Whether a message of the outbox is neither sent nor ended, for the text of a query."""
outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("template", String(32), nullable=False),
    # messages outlive a deleted account: others may have to be told instead
    Column("user_id", Integer, ForeignKey("users.id", ondelete="SET NULL"), index=True),
    Column("certificate_id", Integer, ForeignKey("certificates.id", ondelete="CASCADE"), index=True),
    Column("recipient", Text),  # NULL: the user's address at the time of delivery
    Column("created_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", Instant),  # NULL: at once. During delivery: when others may try, if the sender crashes
    Column("claim", String(32)),  # of the current or last sender
    Column("message_id", Text),
    Column("sent_at", Instant, index=True),
    Column("ended_at", Instant),  # given up or no longer wanted, so never sent; `last_error` says why
    _flag("given_up"),
    Column("last_error", Text),
    Column("detail", Text, nullable=False, server_default="{}"),
    Index("ix_outbox_waiting", "next_attempt_at", sqlite_where=text(WAITING), postgresql_where=text(WAITING)),
    _partial("ix_outbox_given_up", "given_up", "id"),
    Index("ix_outbox_turns", "template", "next_attempt_at", sqlite_where=text(WAITING), postgresql_where=text(WAITING)),
    sqlite_autoincrement=True,  # the audit log keeps the number
)
mail_quotas = Table(
    "mail_quotas",
    metadata,
    Column("holder", String(32), primary_key=True),  # an account, a team, or what reminds of an account's tokens, by its ID
    Column("period", String(4), primary_key=True),  # hour or day
    Column("began_at", Instant, nullable=False),
    Column("used", Integer, nullable=False),
)
state = Table(
    "state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("mark", String(16), nullable=False, server_default=""),  # random, of the generation: see `generations`
    Column("audit_count", Integer, nullable=False),
    Column("audit_head", String(64), nullable=False),
    Column("reminded_until", Instant),  # everything due by then is in the outbox
    Column("reminder_policy", Text),  # which `certificates.next_reminder_at` was worked out by
    CheckConstraint("id = 1", name="one_row"),
)
generations = Table(
    "generations",
    metadata,
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("mark", String(16), nullable=False),  # random, and so different for the same number in another history
    Column("names", Integer, nullable=False),  # the number of names that it touched
    Column("touched", Text),  # accounts, teams and issuers; NULL: everything
)
overrides = Table(
    "overrides",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("guard", String(64), nullable=False),
    Column("subjects", Text, nullable=False),  # pairs of a kind and a name, as JSON
    Column("weight", BigInteger, nullable=False),  # how far the objection went that was overridden
    Column("until", Instant, nullable=False),
    Column("reason", Text, nullable=False),
    Column("overridden_by", Text, nullable=False),
    UniqueConstraint("guard", "subjects"),
)
digests = Table(
    "digests",
    metadata,
    Column("table_name", String(32), primary_key=True),
    Column("bucket", Integer, primary_key=True),
    Column("digest", String(64), nullable=False),
)
TABLES: Mapping[Kind, Table] = {
    "User": users,
    "Team": teams,
    "Issuer": issuers,
    "EmailTemplate": email_templates,
    "Settings": settings,
}
"""The table of each kind of resource."""
