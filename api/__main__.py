"""`python -m api` is `accord-api`."""

from api.cli import main

main()
