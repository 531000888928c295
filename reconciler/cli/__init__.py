"""The `accord` command: one module per command, without logic."""
