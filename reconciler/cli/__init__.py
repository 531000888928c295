"""The `accord` command: one module a command, and no logic."""
