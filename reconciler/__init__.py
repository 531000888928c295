"""Accord's reconciler: brings a database into accord with the resources in a Git repository."""
