"""The register of certificates, who is mailed about them, and reminders before they expire."""
