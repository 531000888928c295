"""Reads a commit or a folder into resources, or into problems with file, line and column."""
