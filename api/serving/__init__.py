"""Serving the application: waitress, or Granian's workers."""
