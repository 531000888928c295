"""Accord at runtime: logins, tokens and decisions, answered from the database that the reconciler keeps."""
