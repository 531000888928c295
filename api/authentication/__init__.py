"""Finding out who is calling: passwords, sessions and tokens."""
