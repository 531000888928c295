"""The policies that the runtime follows, read from what the reconciler stores."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from api.state.policies import MailPolicy, read_policies


def stored(**sections: dict[str, Any]) -> str:
    """Policies as the reconciler stores them: an object of sections, each JSON text."""
    return json.dumps({name: json.dumps(section) for name, section in sections.items()})


def test_undeclared_values_have_the_defaults_of_the_schema() -> None:
    policies = read_policies(None)
    assert policies == read_policies(stored())
    assert (policies.passwords.min_length, policies.passwords.refuse_common) == (15, True)
    assert policies.generated_lifetime == timedelta(days=7)
    assert (policies.max_failures, policies.delay, policies.max_delay) == (5, timedelta(seconds=1), timedelta(seconds=60))
    assert (policies.session_lifetime, policies.session_idle) == (timedelta(hours=12), timedelta(minutes=30))
    assert policies.token_max_lifetime == timedelta(days=365)
    assert policies.mail == MailPolicy(
        on_issue=True,
        on_expiry=True,
        days_before_expiry=(10, 30),
        share_before_expiry=0.33,
        always_send_to=(),
        permitted_domains=None,
        account_per_hour=200,
        account_per_day=2_000,
        team_per_hour=1_000,
        team_per_day=10_000,
    )


def test_declared_values_override_defaults_one_by_one() -> None:
    policies = read_policies(
        stored(passwords={"minLength": 20, "generatedLifetime": "48h"}, sessions={"idle": "5m"}, mail={"onIssue": False})
    )
    assert (policies.passwords.min_length, policies.passwords.refuse_common) == (20, True)
    assert policies.generated_lifetime == timedelta(days=2)
    assert (policies.session_idle, policies.session_lifetime) == (timedelta(minutes=5), timedelta(hours=12))
    assert (policies.mail.on_issue, policies.mail.on_expiry) == (False, True)
