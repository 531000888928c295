"""`python -m reconciler.cli` is `accord`."""

from reconciler.cli.main import main

main()
