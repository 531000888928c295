"""The register of certificates, mails about them, and reminders before they expire."""
