"""Every path of the API and the resource that answers it."""

from __future__ import annotations

from api.resources import (
    certificates,
    decisions,
    declared,
    documentation,
    health,
    history,
    me,
    passwords,
    sessions,
    tokens,
    users,
)
from api.resources.base import Resource
from api.resources.certdog import certificates as certdog_certificates
from api.resources.certdog import imports as certdog_imports
from api.resources.certdog import issuers as certdog_issuers
from api.resources.certdog import sessions as certdog_sessions
from api.resources.certdog import teams as certdog_teams

ROUTES: tuple[tuple[str, type[Resource]], ...] = (
    ("/api/v1/sessions", sessions.Sessions),
    ("/api/v1/sessions/current", sessions.CurrentSession),
    ("/api/v1/me", me.Me),
    ("/api/v1/me/access", me.MyAccess),
    ("/api/v1/me/password", passwords.MyPassword),
    ("/api/v1/me/sessions", sessions.MySessions),
    ("/api/v1/me/sessions/{session_id}", sessions.MySession),
    ("/api/v1/me/tokens", tokens.MyTokens),
    ("/api/v1/me/tokens/{token_id}", tokens.MyToken),
    ("/api/v1/users", users.Users),
    ("/api/v1/users/{name}", users.User),
    ("/api/v1/users/{name}/tokens", tokens.UserTokens),
    ("/api/v1/users/{name}/tokens/{token_id}", tokens.UserToken),
    ("/api/v1/users/{name}/password", passwords.UserPassword),
    ("/api/v1/users/{name}/password-reset", passwords.UserPasswordReset),
    ("/api/v1/users/{name}/require-password-change", passwords.UserPasswordChange),
    ("/api/v1/users/{name}/disabled", users.UserDisabled),
    ("/api/v1/users/{name}/unlock", users.UserUnlock),
    ("/api/v1/teams", declared.Teams),
    ("/api/v1/teams/{name}", declared.Team),
    ("/api/v1/issuers", declared.Issuers),
    ("/api/v1/issuers/{name}", declared.Issuer),
    ("/api/v1/certificates", certificates.Certificates),
    ("/api/v1/certificates/{certificate_id}", certificates.Certificate),
    ("/api/v1/certificates/{certificate_id}/revoked", certificates.CertificateRevoked),
    ("/api/v1/revisions", history.Revisions),
    ("/api/v1/audit", history.Audit),
    ("/api/v1/decisions", decisions.Decisions),
    ("/api/v1/introspect", decisions.Introspection),
    ("/api/v1/auth", decisions.ForwardAuth),
    ("/api/v1/auth/issuers/{issuer}/{rest:path}", decisions.PrefixedAuth),
    ("/certdog/api/login", certdog_sessions.Login),
    ("/certdog/api/logouthere", certdog_sessions.Logout),
    ("/certdog/api/currentuser/myteams", certdog_teams.MyTeams),
    ("/certdog/api/currentuser/myissuers", certdog_issuers.MyIssuers),
    ("/certdog/api/admin/ca", certdog_issuers.Issuers),
    ("/certdog/api/admin/ca/chainbyname/{name:path}", certdog_issuers.Chain),
    ("/certdog/api/admin/generators", certdog_issuers.Generators),
    ("/certdog/api/certs", certdog_certificates.Certificates),
    ("/certdog/api/certs/search", certdog_certificates.CertificateSearch),
    ("/certdog/api/certs/revoke", certdog_certificates.Revocation),
    ("/certdog/api/certs/import", certdog_imports.Import),
    ("/certdog/api/certs/request", certdog_certificates.CertificateRequests),
    ("/certdog/api/certs/requestp10", certdog_certificates.CertificateRequests),
    ("/certdog/api/certs/{cert_id}", certdog_certificates.Certificate),
    ("/certdog/api/certs/{cert_id}/jks", certdog_certificates.CertificateKeys),
    ("/certdog/api/certs/{cert_id}/pem", certdog_certificates.CertificateKeys),
    ("/healthz", health.Health),
    ("/readyz", health.Readiness),
    ("/metrics", health.Metrics),
    ("/openapi.json", documentation.OpenApi),
    ("/docs", documentation.Documentation),
)
