"""Active Directory: logging in with its accounts, teams from its groups, and reading both again while they have access."""
