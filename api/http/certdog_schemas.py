"""The bodies and answers of existing clients of the product that Accord succeeds (see `api.http.certdog`)."""

from __future__ import annotations

from api.http.shapes import NAMES, SHOWN_NAME, Schema, answer, ref

EXISTING: dict[str, Schema] = {
    "ExistingError": answer(
        {
            "timestamp": {"type": "string"},
            "status": {"type": "integer"},
            "error": {"type": "string"},
            "message": {"type": "string"},
            "path": {"type": "string"},
        }
    ),
    "ExistingLogin": answer({"username": SHOWN_NAME, "token": {"type": "string"}}),
    "ExistingLogout": answer({"username": SHOWN_NAME}),
    "ExistingTeam": answer(
        {
            "id": {"type": "string"},
            "name": SHOWN_NAME,
            "description": {"type": "string"},
            "internalGroup": {"type": "boolean"},
            "adGroups": NAMES,
            "authorisedCas": NAMES,
            "adminUsernames": NAMES,
            "dontSendEmailsOnIssue": {"type": "boolean"},
            "dontSendReminderEmails": {"type": "boolean"},
            "ipWhiteList": NAMES,
        }
    ),
    "ExistingTeams": {"type": "array", "items": ref("ExistingTeam")},
    "ExistingIssuers": NAMES,
}
"""All of them, by name."""
