"""Active Directory: logging in with its accounts, teams from its groups, and re-reading both while they give access."""
