"""Decisions while what they stand on changes: the generation moves once a second, by a change of one user.

The change is an administrator's switch, through the API that is measured; then `accord apply` of one changed file beside it,
which takes its share of the machine. Rounds without and with changes take turns; the figures are their medians.

Bars, for the switch: at least 90% of the rate without changes, and a p99 of at most 1.5 times.
"""

from __future__ import annotations

import http.client
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle

from benchmarks.deployment import Deployment, deployed, options
from benchmarks.generate import commit, user_file, user_name
from benchmarks.wrk import Result, median

RATE, P99 = 0.90, 1.5
ADMINISTRATOR, CHANGED = 0, 7
"""Numbers of users: one in the generated team of administrators, and one that is switched and edited."""


def main() -> None:
    """Print one table a server, and exit with 1 where a bar is missed."""
    parser = options(__doc__.partition("\n")[0] if __doc__ else None, seconds=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with deployed(arguments) as deployment:
        missed = [server for server in deployment.servers if not measure(deployment, server, arguments.rounds)]
    sys.exit(bool(missed))


def measure(deployment: Deployment, server: str, rounds: int) -> bool:
    """One table; whether the bars are held."""
    rng = random.Random(7)
    bodies = [f'{{"issuer":"{rng.choice(deployment.issuers)}"}}' for _ in range(1000)]
    others = deployment.folder / "tokens-of-others"  # a switch ends the tokens of its account
    others.write_text("".join(f"{secret}\n" for user, secret in enumerate(deployment.secrets) if user != CHANGED))
    load = deployment.asking("one decision", "/api/v1/decisions", bodies)._replace(tokens=others)
    print(f"\n{server}, one decision, {deployment.users:,} users, {deployment.connections} connections, {deployment.kind}")
    print(f"{'changes':<28}{'number':>8}{'decisions/s':>13}{'of none':>9}{'p99 ms':>9}{'of none':>9}{'refused':>9}")
    with deployment.serving(server) as (port, _, _pid):
        deployment.put(load, port, seconds=2)
        kinds: dict[str, tuple[Callable[[], None], list[Result], list[int]]] = {
            "none": (lambda: None, [], []),
            "an administrator's switch": (switching(deployment, port), [], []),
            "accord apply of one file": (applying(deployment), [], []),
        }
        for _ in range(rounds):
            for change, results, numbers in kinds.values():
                with every_second(change) as made:
                    results.append(deployment.put(load, port))
                numbers.append(len(made))
                if len(made) % 2:
                    change()  # so that the account is on in the next round
    without = median(kinds["none"][1])
    for name, (_, results, numbers) in kinds.items():
        found = median(results)
        number = 0 if name == "none" else sum(numbers)
        rate, p99 = found.rate / without.rate, found.p99 / without.p99
        print(f"{name:<28}{number:>8}{found.rate:>13,.0f}{rate:>9.0%}{found.p99:>9.1f}{p99:>8.1f}x{found.errors:>9}")
    switched = median(kinds["an administrator's switch"][1])
    held = switched.rate >= RATE * without.rate and switched.p99 <= P99 * without.p99
    print(f"bar: at least {RATE:.0%} of the rate and at most {P99} times the p99: {'held' if held else 'MISSED'}", flush=True)
    return held


def switching(deployment: Deployment, port: int) -> Callable[[], None]:
    """What switches one account off, or on again, as an administrator."""
    headers = {"Authorization": f"Bearer {deployment.secrets[ADMINISTRATOR]}"}
    path = f"/api/v1/users/{user_name(CHANGED)}/disabled"
    methods = cycle(("PUT", "DELETE"))

    def change() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request(next(methods), path, headers=headers)
        status = connection.getresponse().status
        connection.close()
        if status != 204:
            raise RuntimeError(f"switching an account answered {status}")

    return change


def applying(deployment: Deployment) -> Callable[[], None]:
    """What gives one user another full name in the config repository, and applies it."""

    def change() -> None:
        name = f"Somebody of {time.time_ns()}"
        commit(deployment.repository, [user_file(CHANGED, random.Random(1), full_name=name)], "One file")
        deployment.apply()

    return change


@contextmanager
def every_second(change: Callable[[], None]) -> Iterator[list[float]]:
    """Make a change once a second meanwhile; one that takes longer delays the next. Yields how long each took, in seconds."""
    stop, took, failures = threading.Event(), list[float](), list[BaseException]()

    def work() -> None:
        due = time.monotonic()
        try:
            while not stop.wait(max(0, (due := max(due + 1, time.monotonic())) - time.monotonic())):
                began = time.monotonic()
                change()
                took.append(time.monotonic() - began)
        except Exception as failure:  # noqa: BLE001 - told below, in the thread that measures
            failures.append(failure)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield took
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]


if __name__ == "__main__":
    main()
