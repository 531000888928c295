"""A benchmark on a PostgreSQL server of its own, which keeps what it is told through a power cut:

python -m benchmarks.postgresql benchmarks.run --users 1000000
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from postgresql_server import PostgresqlServer, find_binaries


def main() -> None:
    """Run a module with the URL of an empty database as its `--database`."""
    module, *arguments = sys.argv[1:]
    binaries = find_binaries()
    if binaries is None:
        sys.exit("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the account `postgres` must be able to walk through
        server = PostgresqlServer(binaries, Path(folder) / "cluster", durable=True)
        server.make()
        server.start()
        try:
            command = [sys.executable, "-m", module, *arguments, "--database", server.new_database()]
            ended = subprocess.run(command, check=False)
        finally:
            server.stop()
    sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
