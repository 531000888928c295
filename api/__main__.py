"""`python -m api` is `accord-api`."""

from api.cli.main import main

main()
