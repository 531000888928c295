"""The API's resources, one module a noun."""
