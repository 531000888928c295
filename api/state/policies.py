"""The policies of the declared Settings that the API follows. Defaults come from the schema."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple

import orjson

from reconciler.access.instants import parse_duration
from reconciler.shipped import schema_folder


class PasswordPolicy(NamedTuple):
    """Which new passwords are accepted."""

    min_length: int
    refuse_common: bool
    organisation_words: tuple[str, ...] = ()
    """What people of the organisation would think of first."""


class MailPolicy(NamedTuple):
    """Which mails about certificates are sent."""

    on_issue: bool
    on_expiry: bool
    days_before_expiry: tuple[int, ...]
    """Ascending, without duplicates."""
    share_before_expiry: float
    """Of a certificate's lifetime: how long before its end the first reminder comes at most."""
    always_send_to: tuple[str, ...]
    permitted_domains: frozenset[str] | None
    """Domains of additional addresses; None: those of the declared users' addresses."""
    account_per_hour: int
    account_per_day: int
    team_per_hour: int
    team_per_day: int
    """How many mails to others an account may cause, and all accounts together for a team."""


class Policies(NamedTuple):
    """The policies in force."""

    passwords: PasswordPolicy
    generated_lifetime: timedelta
    """How long a mailed password can be used."""
    max_failures: int
    delay: timedelta
    max_delay: timedelta
    session_lifetime: timedelta
    session_idle: timedelta
    session_fresh: timedelta
    """How recently a session's password must have been given for acts on passwords, tokens and other people's accounts."""
    token_max_lifetime: timedelta
    administrators_mint_for: str
    """`applications` or `everyone`."""
    token_overlap: timedelta
    """How long an application's token goes on once it has a successor."""
    token_reminders: tuple[int, ...]
    """Days before a token expires, ascending, without duplicates."""
    mail: MailPolicy


@cache
def read_policies(stored: str | None) -> Policies:
    """Read the stored column: a JSON object of sections, each canonical JSON text; None if no Settings are declared."""
    sections = {} if stored is None else {name: orjson.loads(text) for name, text in orjson.loads(stored).items()}

    def value(section: str, key: str) -> Any:
        return sections.get(section, {}).get(key, _defaults()[section][key])

    return Policies(
        PasswordPolicy(
            value("passwords", "minLength"), value("passwords", "refuseCommon"), tuple(value("passwords", "organisationWords"))
        ),
        parse_duration(value("passwords", "generatedLifetime")),
        value("logins", "maxFailures"),
        parse_duration(value("logins", "delay")),
        parse_duration(value("logins", "maxDelay")),
        parse_duration(value("sessions", "lifetime")),
        parse_duration(value("sessions", "idle")),
        parse_duration(value("sessions", "stepUp")),
        parse_duration(value("tokens", "maxLifetime")),
        value("tokens", "administratorsMayMintFor"),
        parse_duration(value("tokens", "overlap")),
        tuple(sorted(set(value("tokens", "daysBeforeExpiry")))),
        MailPolicy(
            value("mail", "onIssue"),
            value("mail", "onExpiry"),
            tuple(sorted(set(value("mail", "daysBeforeExpiry")))),
            float(value("mail", "shareBeforeExpiry").removesuffix("%")) / 100,
            tuple(value("mail", "alwaysSendTo")),
            None if (domains := value("mail", "permittedRecipientDomains")) is None else frozenset(domains),
            value("mail", "accountMailsPerHour"),
            value("mail", "accountMailsPerDay"),
            value("mail", "teamMailsPerHour"),
            value("mail", "teamMailsPerDay"),
        ),
    )


@cache
def _defaults() -> dict[str, dict[str, Any]]:
    schema = json.loads((schema_folder() / "settings.schema.json").read_text(encoding="utf-8"))
    sections = schema["properties"]["spec"]["properties"]
    return {
        name: {key: value["default"] for key, value in section.get("properties", {}).items() if "default" in value}
        for name, section in sections.items()
    }
