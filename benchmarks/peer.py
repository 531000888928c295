"""Accord beside Cerbos in one run: may this user use that issuer, asked one at a time and fifty at once.

    CERBOS=…/cerbos python -m benchmarks.peer

Cerbos (0.55; `@cerbos/cerbos-linux-x64` in npm) is taken from the PATH, or from where the environment variable CERBOS says. It
gets a policy an issuer, which names the teams that may use it; the question brings the user's teams, as roles. It reads no token
and no database and checks neither addresses nor ends of memberships, all of which Accord does for each request.

Bars: one decision at least 1.0 times Cerbos on waitress and 2.0 times on Granian; fifty at once at least 4 and 6 times.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from benchmarks.deployment import Deployment, deployed, options
from benchmarks.generate import user_name
from benchmarks.processes import free_port, running, settle
from benchmarks.wrk import Load, Result, median
from reconciler.store import tables

BATCH = 50
"""The most that Cerbos answers at once, as it comes."""
BARS = {"waitress": (1.0, 4.0), "granian": (2.0, 6.0)}
POLICY = """apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: {issuer}
  version: default
  rules:
    - actions: [request]
      effect: EFFECT_ALLOW
      roles: [{teams}]
"""
CONFIGURATION = """server: {{httpListenAddr: "127.0.0.1:{port}", grpcListenAddr: "127.0.0.1:{other}"}}
storage: {{driver: disk, disk: {{directory: "{policies}", watchForChanges: false}}}}
telemetry: {{disabled: true}}
"""


def main() -> None:
    """Print one table, and exit with 1 where a bar is missed."""
    parser = options(__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    binary = shutil.which(os.environ.get("CERBOS", "cerbos"))
    if binary is None:
        print("Cerbos is not installed, so Accord is not compared with it: put `cerbos` on the PATH, or its path into CERBOS")
        return
    with deployed(arguments) as deployment:
        sys.exit(not compare(deployment, binary, arguments.rounds))


def compare(deployment: Deployment, binary: str, rounds: int) -> bool:
    """One table; whether the bars are held. All run at once, idle but for the one that is asked, and take turns."""
    version = subprocess.run([binary, "--version"], capture_output=True, check=True, text=True).stdout.split()[0]
    peer, ours = questions(deployment)
    with ExitStack() as stack:
        ports = {f"Cerbos {version}": stack.enter_context(serving_cerbos(deployment, binary))}
        ports |= {server: stack.enter_context(deployment.serving(server))[0] for server in deployment.servers}
        results: dict[tuple[str, int], list[Result]] = defaultdict(list)
        for round_ in range(rounds + 1):  # the first warms everything
            for name, port in ports.items():
                for kind, load in enumerate(ours if name in BARS else peer):
                    found = deployment.put(load, port, seconds=None if round_ else 2)
                    if round_:
                        results[name, kind].append(found)
    medians = {key: median(found) for key, found in results.items()}
    print(f"\n{deployment.users:,} users, {deployment.connections} connections, {deployment.kind}")
    columns = "".join(f"{name:>16}{'of Cerbos':>11}{'p99 ms':>8}" for name in ("one decision/s", f"{BATCH} at once/s"))
    print(f"{'':<16}{columns}{'refused':>9}")
    base, held = next(iter(ports)), True
    for name in ports:
        shown, errors = "", 0
        for kind, bar in enumerate(BARS.get(name, (0.0, 0.0))):
            found = medians[name, kind]
            ratio = found.rate / medians[base, kind].rate
            shown += f"{found.rate:>16,.0f}{ratio:>10.2f}x{found.p99:>8.1f}"
            held, errors = held and ratio >= bar, errors + found.errors
        print(f"{name:<16}{shown}{errors:>9}")
    print(f"bars: 1.0 and 4 times Cerbos on waitress, 2.0 and 6 times on Granian: {'held' if held else 'MISSED'}", flush=True)
    return held


def questions(deployment: Deployment) -> tuple[Sequence[Load], Sequence[Load]]:
    """One decision, and a batch: as Cerbos is asked, and as Accord is. Users and issuers are as random for both."""
    rng, teams = random.Random(7), teams_by_user(deployment)

    def asked_of_cerbos(count: int) -> str:
        user = user_name(rng.randrange(deployment.users))
        issuers = rng.choices(deployment.issuers, k=count)
        resources = [{"actions": ["request"], "resource": {"kind": issuer, "id": issuer}} for issuer in issuers]
        return json.dumps({"principal": {"id": user, "roles": ["user", *teams[user]]}, "resources": resources})

    def asked_of_accord(count: int) -> str:
        asked = [{"issuer": issuer} for issuer in rng.choices(deployment.issuers, k=count)]
        return json.dumps(asked[0] if count == 1 else {"requests": asked})

    path, sizes = "/api/check/resources", {"one decision": (1, 10_000), "a batch": (BATCH, 1_000)}
    peer = [Load(name, "POST", path, [asked_of_cerbos(size) for _ in range(n)]) for name, (size, n) in sizes.items()]
    ours = [
        deployment.asking(name, "/api/v1/decisions", [asked_of_accord(size) for _ in range(n)])
        for name, (size, n) in sizes.items()
    ]
    return peer, ours


def teams_by_user(deployment: Deployment) -> dict[str, list[str]]:
    """Who is in which teams now."""
    users, teams, memberships = tables.users, tables.teams, tables.memberships
    joined = memberships.join(users, users.c.id == memberships.c.user_id).join(teams, teams.c.id == memberships.c.team_id)
    now = memberships.c.until.is_(None) | (memberships.c.until > datetime.now(UTC))
    found: dict[str, list[str]] = defaultdict(list)
    for user, team in deployment.rows(select(users.c.name, teams.c.name).select_from(joined).where(now)):
        found[user].append(team)
    return found


@contextmanager
def serving_cerbos(deployment: Deployment, binary: str) -> Iterator[int]:
    """Cerbos on a port, with the same grants as policies."""
    issuers, teams, permissions = tables.issuers, tables.teams, tables.permissions
    joined = permissions.join(issuers, issuers.c.id == permissions.c.issuer_id).join(teams, teams.c.id == permissions.c.team_id)
    granted: dict[str, list[str]] = defaultdict(list)
    for issuer, team in deployment.rows(select(issuers.c.name, teams.c.name).select_from(joined)):
        granted[issuer].append(team)
    policies = deployment.folder / "policies"
    shutil.rmtree(policies, ignore_errors=True)
    policies.mkdir()
    for issuer, by in granted.items():
        (policies / f"{issuer}.yaml").write_text(POLICY.format(issuer=issuer, teams=", ".join(by)))
    port, other = free_port(), free_port()
    configuration = Path(deployment.folder / "cerbos.yaml")
    configuration.write_text(CONFIGURATION.format(port=port, other=other, policies=policies))
    command = [binary, "server", f"--config={configuration}", "--log-level=error"]
    with running(command, os.environ, port, "/_cerbos/health") as (pid, _):
        settle(pid)
        yield port


if __name__ == "__main__":
    main()
