"""Delivering mail: messages of the outbox are prepared and handed to an SMTP server or put into a maildir."""
