"""A commit or a folder in, resources out; or problems, each with file, line and column."""
