"""`python -m reconciler.cli` runs `accord`."""

from reconciler.cli.main import main

main()
