"""Every path of the console, and the page that answers it."""

from __future__ import annotations

import re

from api.console import (
    access_map,
    account,
    audit,
    certificates,
    drift,
    explorer,
    home,
    issuers,
    mail,
    proposal_forms,
    proposals,
    revisions,
    signing_in,
    teams,
    user_acts,
    users,
)
from api.console.pages import Page

ROUTES: tuple[tuple[str, type[Page]], ...] = (
    ("/", home.Home),
    ("/login", signing_in.SignIn),
    ("/logout", signing_in.SignOut),
    ("/password", signing_in.Password),
    ("/theme", signing_in.Theme),
    ("/me", account.Account),
    ("/me/sessions", account.Sessions),
    ("/me/tokens", account.Tokens),
    ("/me/tokens/new", account.NewToken),
    ("/me/tokens/{token_id}/revoke", account.RevokedToken),
    ("/users", users.Users),
    ("/users/{name}", users.User),
    ("/users/{name}/reset-password", user_acts.ResetPassword),
    ("/users/{name}/password", user_acts.Password),
    ("/users/{name}/require-change", user_acts.RequireChange),
    ("/users/{name}/disable", user_acts.Disable),
    ("/users/{name}/enable", user_acts.Enable),
    ("/users/{name}/unlock", user_acts.Unlock),
    ("/users/{name}/tokens", users.UserTokens),
    ("/users/{name}/tokens/new", user_acts.NewToken),
    ("/users/{name}/tokens/{accessor}/revoke", user_acts.RevokedToken),
    ("/users/{name}/sessions/{accessor}/end", user_acts.EndedSession),
    ("/users/new", proposal_forms.NewUser),
    ("/users/{name}/edit", proposal_forms.EditedUser),
    ("/users/{name}/remove", proposal_forms.RemovedUser),
    ("/proposals", proposals.Proposals),
    ("/proposals/new", proposal_forms.NewProposal),
    ("/proposals/{branch:path}", proposals.Proposal),
    ("/revisions", revisions.Revisions),
    ("/revisions/{number}", revisions.Revision),
    ("/drift", drift.Drift),
    ("/audit", audit.Audit),
    ("/audit.csv", audit.AuditCsv),
    ("/audit.jsonl", audit.AuditJsonl),
    ("/mail", mail.Mail),
    ("/certificates", certificates.Certificates),
    ("/certificates/{number}", certificates.Certificate),
    ("/certificates/{number}/pem", certificates.CertificatePem),
    ("/certificates/{number}/revoked", certificates.CertificateRevoked),
    ("/teams", teams.Teams),
    ("/teams/{name}", teams.Team),
    ("/issuers", issuers.Issuers),
    ("/issuers/{name}", issuers.Issuer),
    ("/access", explorer.Explorer),
    ("/map", access_map.Map),
)
_PATTERNS = [
    re.compile(re.sub(r"\\{\w+:path\\}", ".+", re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))))
    for path, page in ROUTES
    if hasattr(page, "on_get")
]


def is_page(path: str) -> bool:
    """Whether a path is that of a page, which can be looked at."""
    return any(pattern.fullmatch(path) for pattern in _PATTERNS)
