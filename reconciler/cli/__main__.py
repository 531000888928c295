"""The program `accord`, and `python -m reconciler.cli`."""

from __future__ import annotations

from typing import NoReturn

from reconciler.process import decide, finish, heed_signals, say_interrupted


def main() -> NoReturn:
    """Run the program; signals are heeded before the rest is imported, which takes a while."""
    heed_signals("accord")
    try:
        from reconciler.cli.main import main as program
    except KeyboardInterrupt:
        decide(say_interrupted())
        finish()
    program()


if __name__ == "__main__":
    main()
