"""Loads put on a server with wrk (Debian: apt-get install wrk)."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_SCRIPT = """
local function lines(file)
  local found = {}
  for line in io.lines(file) do found[#found + 1] = line end
  return found
end
local tokens, bodies = lines("%(tokens)s"), lines("%(bodies)s")
local headers = { ["Content-Type"] = "%(type)s" }
math.randomseed(os.time())
request = function()
  if #tokens > 0 then headers["Authorization"] = "Bearer " .. tokens[math.random(#tokens)] end
  return wrk.format("%(method)s", "%(path)s", headers, bodies[math.random(#bodies)])
end
done = function(summary, latency, requests)
  io.write(string.format("RESULT %%f %%f %%d\\n", summary.requests / (summary.duration / 1e6), latency:percentile(99) / 1000,
    summary.errors.status + summary.errors.read + summary.errors.timeout))
end
"""


class Load(NamedTuple):
    """What is sent: one of the bodies at random, with one of the tokens in that file."""

    name: str
    method: str
    path: str
    bodies: list[str]
    type: str = "application/json"
    tokens: Path = Path("/dev/null")


class Result(NamedTuple):
    """What wrk saw: requests a second, milliseconds, and requests that were refused or lost."""

    rate: float
    p99: float
    errors: int


def put(load: Load, port: int, folder: Path, *, seconds: int, connections: int) -> Result:
    """Put a load on a port of this machine."""
    bodies, script = folder / "bodies", folder / "load.lua"
    bodies.write_text("\n".join(load.bodies) + "\n")
    script.write_text(_SCRIPT % {**load._asdict(), "bodies": bodies})
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    match = re.search(r"RESULT (\S+) (\S+) (\d+)", ended.stdout)
    if match is None:
        sys.exit(ended.stdout)
    return Result(float(match[1]), float(match[2]), int(match[3]))


def median(results: Iterable[Result]) -> Result:
    """The medians of several results, and all their errors."""
    rates, p99s, errors = zip(*results, strict=True)
    return Result(statistics.median(rates), statistics.median(p99s), sum(errors))
