"""Delivering mail: the outbox, what each message says, and the two ways out, an SMTP server or a folder."""
