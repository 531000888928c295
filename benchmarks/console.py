"""The console's pages at 100,000 users, 10,000 teams and 1,000 issuers: time, bytes, and what clicking costs decisions.

Each page is asked for as an administrator's browser does, one after another on one connection, and shown beside `/healthz` of
the same server in the same run: that is the floor of a request. Then twenty people click, about once in two seconds each, while
wrk asks for decisions; their p99 is shown beside that without anybody clicking. Needs wrk (Debian: apt-get install wrk).
"""

from __future__ import annotations

import http.client
import random
import statistics
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from api.authentication.tokens import fingerprint, new_accessor, new_secret
from benchmarks.deployment import Deployment, deployed, options
from benchmarks.generate import user_name
from benchmarks.wrk import Result, median
from reconciler.store import tables
from reconciler.store.engine import open_database

MEDIAN, P99 = 100.0, 250.0
"""Milliseconds that a page may take."""
TIMES = 40
"""Each page is asked for so often."""
PEOPLE = 20
THINKING = 2.0
"""Seconds from one click of a person to the next."""
FLOOR = "/healthz"


def main() -> None:
    """Print two tables."""
    arguments = options(__doc__)
    arguments.add_argument("--pages-only", action="store_true", help="leave the load of decisions out")
    given = arguments.parse_args()
    with deployed(given) as deployment:
        cookie = sign_in(deployment, user_name(0))
        with deployment.serving("waitress") as (port, _, _pid):
            late = show_pages(port, cookie, addresses(deployment))
            if not given.pages_only:
                show_decisions(deployment, port, cookie)
    sys.exit(f"too slow: {', '.join(late)}" if late else 0)


def sign_in(deployment: Deployment, name: str) -> str:
    """A session of the console for an account, as its login would make it; the cookie."""
    secret, now = new_secret(), datetime.now(UTC)
    with open_database(deployment.url) as database, database.recording() as connection:
        user = connection.execute(select(tables.users.c.id).where(tables.users.c.name == name)).scalar_one()
        values = {"user_id": user, "kind": "session", "accessor": new_accessor(), "sha256": fingerprint(secret, "cookie")}
        connection.execute(tables.tokens.insert().values(**values, name="", created_at=now, expires_at=now + timedelta(hours=8)))
    return f"accord={secret}"


def addresses(deployment: Deployment) -> list[str]:
    """Pages as people ask for them, and as is worst: nothing matches, everything does, the last page."""
    rng, last = random.Random(7), deployment.users - 1
    user, issuer = user_name(rng.randrange(last)), deployment.issuers[0]
    teams = [name for (name,) in deployment.rows(select(tables.teams.c.name).order_by(tables.teams.c.name))]
    return [
        *("/", "/me", "/me/tokens", "/me/sessions"),
        *("/users", "/users?search=zzzqqq", "/users?search=e", "/users?search=jones", f"/users?search={user_name(last)}"),
        *(
            "/users?source=directory",
            "/users?state=disabled",
            "/users?login=never",
            "/users?sort=last-login",
            f"/users?team={teams[-1]}",
        ),
        *(f"/users/{user}", f"/users/{user_name(0)}"),
        *(
            "/teams",
            "/teams?search=zzzqqq",
            f"/teams/{teams[len(teams) // 2]}",
            "/issuers",
            "/issuers?search=zzz",
            f"/issuers/{issuer}",
        ),
        *(f"/access?user={user}&issuer={each}" for each in deployment.issuers[:2]),
        *("/map", "/map?by=label", "/map?by=issuer", f"/map?focus=team:{teams[0]}"),
        *("/revisions", "/drift", "/audit", "/audit?action=user.create", "/audit?name=nobody-at-all", "/audit?actor=nobody"),
        *("/mail", "/mail?state=sent", "/certificates", "/certificates?search=zzz"),
    ]


def show_pages(port: int, cookie: str, paths: list[str]) -> list[str]:
    """The time of each page; those that take too long."""
    print(f"{'page':<44}{'status':>7}{'KB':>7}{'median ms':>11}{'p99 ms':>9}{'of floor':>10}")
    _, _, floor, _ = ask(port, FLOOR, cookie)
    late = []
    for path in paths:
        status, size, middle, worst = ask(port, path, cookie)
        print(f"{path[:43]:<44}{status:>7}{size / 1000:>7.1f}{middle:>11.1f}{worst:>9.1f}{middle / floor:>10.0f}", flush=True)
        if middle > MEDIAN or worst > P99 or status >= 500:
            late.append(path)
    return late


def ask(port: int, path: str, cookie: str) -> tuple[int, int, float, float]:
    """The status and size of an address, and the median and the 99th percentile of its time in milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    took, status, body = [], 0, b""
    for number in range(TIMES + 1):
        began = time.perf_counter()
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        status, body = answer.status, answer.read()
        if number:  # the first one reads templates
            took.append((time.perf_counter() - began) * 1000)
    connection.close()
    return status, len(body), statistics.median(took), sorted(took)[-1]


def show_decisions(deployment: Deployment, port: int, cookie: str) -> None:
    """The p99 of decisions without and with people who click, three times each, in turns."""
    rng = random.Random(7)
    load = deployment.asking(
        "decisions", "/api/v1/decisions", [f'{{"issuer":"{rng.choice(deployment.issuers)}"}}' for _ in range(1000)]
    )
    deployment.put(load, port, seconds=2)
    alone: list[Result] = []
    among: list[Result] = []
    paths = addresses(deployment)
    for _ in range(3):
        alone.append(deployment.put(load, port))
        with_people = threading.Event()
        people = [threading.Thread(target=click, args=(port, cookie, paths, number, with_people)) for number in range(PEOPLE)]
        for each in people:
            each.start()
        among.append(deployment.put(load, port))
        with_people.set()
        for each in people:
            each.join()
    before, then = median(alone), median(among)
    print(f"\n{'decisions':<32}{'requests/s':>12}{'p99 ms':>9}{'ratio':>8}{'refused':>9}")
    for name, found in (("alone", before), (f"while {PEOPLE} people click", then)):
        print(f"{name:<32}{found.rate:>12.0f}{found.p99:>9.1f}{found.p99 / before.p99:>8.2f}{found.errors:>9}")


def click(port: int, cookie: str, paths: list[str], number: int, ended: threading.Event) -> None:
    """One person, who looks at one page after another."""
    rng = random.Random(number)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not ended.wait(rng.uniform(0.5, 1.5) * THINKING):
        connection.request("GET", rng.choice(paths), headers={"Cookie": cookie})
        connection.getresponse().read()
    connection.close()


if __name__ == "__main__":
    main()
