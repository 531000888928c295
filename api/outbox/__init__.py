"""The outbox: putting messages in, claiming them for delivery, and how it stands."""
