"""Who is calling: passwords, sessions and tokens."""
