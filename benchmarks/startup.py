"""What starting costs: `accord --help` and a small `accord validate`, against importing what any such program imports.

    python -m benchmarks.startup

Best of several runs, as ratios: an interpreter's start differs from machine to machine.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples/config-repo"
RUNS = 15
COMMANDS = {
    "limit: import click, yaml, sqlalchemy": [sys.executable, "-c", "import click, yaml, sqlalchemy"],
    "accord --help": [sys.executable, "-m", "reconciler.cli", "--help"],
    "accord validate, the example": [sys.executable, "-m", "reconciler.cli", "validate", str(EXAMPLE)],
}


def main() -> None:
    """Print one line a command."""
    best = dict.fromkeys(COMMANDS, float("inf"))
    for _ in range(RUNS):
        for name, command in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            best[name] = min(best[name], time.perf_counter() - began)
    limit = next(iter(best.values()))
    for name, seconds in best.items():
        print(f"{name:<40} {seconds * 1000:6.0f} ms {seconds / limit:6.2f}x")


if __name__ == "__main__":
    main()
