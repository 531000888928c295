"""Two PostgreSQL servers change places again and again, while callers ask and tokens are revoked at random. Is any answer wrong?

    python -m benchmarks.failover [--rounds 20] [--server waitress] [--replication synchronous]

In each round the primary crashes, is shut down, or hangs; its standby is promoted; the primary of the past comes back as it
was, and takes itself for the primary still; then it becomes the standby. An answer is wrong if it permits a token, and its
request began after the revocation was acknowledged. Bar: none with synchronous replication. With asynchronous replication, only
for revocations that the new primary never received: those are counted, and nothing else is excused.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from postgresql_pair import Pair, go_on, hang, pair_of_servers
from postgresql_server import find_binaries
from revocations import Revocations
from sqlalchemy import select
from waiting import until

from benchmarks.deployment import SERVERS, Deployment
from reconciler.store import tables
from reconciler.store.engine import open_database

_USERS = 200
_ACCOUNTS = 20
_TOKENS = 120
"""New ones in each round."""
_ENDINGS = ("crash", "shutdown", "hang")


class Round(NamedTuple):
    """What one round showed."""

    ending: str
    lost: int
    wrong: int
    gap: float
    """Seconds between two answers that permitted something."""


def main() -> None:
    """Run the rounds and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--server", choices=SERVERS, default="waitress")
    parser.add_argument("--replication", choices=("synchronous", "asynchronous"), action="append")
    arguments = parser.parse_args()
    binaries = find_binaries()
    if binaries is None:
        sys.exit("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    missed = False
    for replication in arguments.replication or ("synchronous", "asynchronous"):
        with pair_of_servers(binaries, synchronous=replication == "synchronous") as pair:
            missed |= _measure(pair, replication, arguments)
    sys.exit(missed)


def _measure(pair: Pair, replication: str, arguments: argparse.Namespace) -> bool:
    """Whether the bar was missed."""
    with tempfile.TemporaryDirectory() as folder:
        made = argparse.Namespace(database=pair.url(), users=_USERS, seconds=1, connections=1, server=[arguments.server])
        deployment = Deployment(Path(folder), made)
        with deployment.serving(arguments.server) as (port, _, _):
            load = Revocations(pair.url(), port, deployment.issuers[0], _accounts(pair.url()), pause=0.002)
            rounds = [_round(pair, load, _ENDINGS[number % len(_ENDINGS)]) for number in range(arguments.rounds)]
    lost, wrong = sum(each.lost for each in rounds), sum(each.wrong for each in rounds)
    print(f"{replication} replication, {arguments.server}: {len(rounds)} promotions and returns")
    print(f"  {load.statuses.total():,} questions; answers by status: {dict(sorted(load.statuses.items()))}")
    print(f"  {load.confirmed:,} revocations acknowledged, {load.unknown} tried again because their outcome was unknown")
    print(f"  permitted after the acknowledgement: {wrong}; revocations lost with a primary: {lost}")
    print(f"  refused without a revocation: {len(load.refused)}; slowest answer {load.slowest:.1f} s")
    for ending in _ENDINGS:
        gaps = [each.gap for each in rounds if each.ending == ending]
        if gaps:
            print(f"  longest time without a permission after a {ending}: {max(gaps):.1f} s")
    return bool(wrong or load.refused or (lost and replication == "synchronous") or load.slowest > 5)


def _accounts(url: str) -> list[str]:
    with open_database(url) as database, database.reading() as connection:
        named = select(tables.users.c.name).where(~tables.users.c.disabled_by_git).order_by(tables.users.c.id)
        return list(connection.execute(named.limit(_ACCOUNTS)).scalars())


def _round(pair: Pair, load: Revocations, ending: str) -> Round:
    load.mint(_TOKENS)
    pair.catch_up()
    with load.going_on():
        time.sleep(1.5)
        since = time.monotonic()
        old = pair.primary
        hang(old) if ending == "hang" else old.stop("immediate" if ending == "crash" else "fast")
        pair.fail_over()
        promoted = time.monotonic()
        until(lambda: load.last_permitted > promoted, "an answer by the new primary")
        go_on(old) if ending == "hang" else old.start()
        time.sleep(1.5)
        old.stop()
        pair.take_back()
        time.sleep(0.5)
    lost = load.lost(pair.primary.url())
    wrong = load.wrongly_permitted(lost, since)
    found = Round(ending, len(lost), len(wrong), load.longest_gap)
    load.longest_gap = 0.0
    print(f"    {found}", file=sys.stderr)
    return found


if __name__ == "__main__":
    main()
