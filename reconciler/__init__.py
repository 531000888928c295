"""Accord's reconciler brings a database into accord with the resources in a Git repository."""

__version__ = "0.1.0"
