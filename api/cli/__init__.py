"""`accord-api`: serve the API, and what an operator does on the host itself. A module a command."""
