"""A generator of config repositories: N users, N/10 teams of about 20 members, N/100 issuers, one document a file, seeded.

Files go straight into a bare repository through `git fast-import`, so that 100,000 of them take seconds.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

FIRST = [
    "Alice",
    "Bob",
    "Carol",
    "Dave",
    "Erin",
    "Frank",
    "Grace",
    "Heidi",
    "Ivan",
    "Judy",
    "Mallory",
    "Niaj",
    "Olivia",
    "Peggy",
    "Rupert",
    "Sybil",
    "Trent",
    "Victor",
    "Wendy",
]
LAST = [
    "Jones",
    "Smith",
    "Garcia",
    "Müller",
    "Rossi",
    "Tanaka",
    "Novak",
    "Silva",
    "Kim",
    "Nguyen",
    "Okafor",
    "Larsen",
    "Dubois",
    "Ivanova",
    "Haddad",
]


ADMINISTRATORS = 5
"""So many users, the first, are in the team of administrators."""


def user_name(number: int) -> str:
    """The login name of a generated user."""
    return f"user-{number:06}"


def user_file(number: int, rng: random.Random, *, full_name: str | None = None) -> tuple[str, str]:
    """Path and text of one user, as `accord init` and an editor would leave it."""
    name = user_name(number)
    who = full_name or f"{rng.choice(FIRST)} {rng.choice(LAST)}"
    return (
        f"users/{number % 256:02x}/{name}.yaml",
        "# yaml-language-server: $schema=../../.accord/schemas/user.schema.json\n"
        "apiVersion: accord/v1\n"
        "kind: User\n"
        "metadata:\n"
        f"  name: {name}\n"
        f'  labels: {{cost-centre: "{rng.randrange(100)}", site: {rng.choice(("berlin", "lisbon", "osaka"))}}}\n'
        "spec:\n"
        f"  email: {name}@example.org\n"
        f"  fullName: {who}\n",
    )


def team_file(number: int, users: int, issuers: int, rng: random.Random) -> tuple[str, str]:
    """Path and text of one team: about 20 members, three issuers, one in five memberships with an end."""
    members = sorted(rng.sample(range(users), min(users, rng.randint(16, 24))))
    lines = [
        f"    - {{user: {user_name(member)}, until: 2099-01-31, reason: cover}}"
        if rng.random() < 0.2
        else f"    - {user_name(member)}"
        for member in members
    ]
    if number == 0:
        lines = [f"    - {user_name(member)}" for member in range(ADMINISTRATORS)]
    granted = sorted(rng.sample(range(issuers), min(issuers, 3)))
    text = (
        "# yaml-language-server: $schema=../../.accord/schemas/team.schema.json\n"
        "apiVersion: accord/v1\n"
        "kind: Team\n"
        "metadata:\n"
        f"  name: team-{number:05}\n"
        "spec:\n"
        f"  description: Runs service {number}\n"
        + ("  administrator: true\n" if number == 0 else "")
        + "  members:\n"
        + "\n".join(lines)
        + "\n  issuers:\n"
        + "\n".join(f"    - issuer-{issuer:04}" for issuer in granted)
        + f"\n  permittedIPs: [10.{number % 256}.0.0/16, 127.0.0.0/8]\n"  # what is measured calls from this machine
    )
    return f"teams/{number % 64:02x}/team-{number:05}.yaml", text


def issuer_file(number: int) -> tuple[str, str]:
    """Path and text of one issuer."""
    return (
        f"issuers/issuer-{number:04}.yaml",
        "# yaml-language-server: $schema=../.accord/schemas/issuer.schema.json\n"
        f"apiVersion: accord/v1\nkind: Issuer\nmetadata:\n  name: issuer-{number:04}\nspec:\n"
        f"  displayName: Issuer {number}\n  description: Certificates of kind {number}\n",
    )


def files(users: int, seed: int = 42) -> Iterator[tuple[str, str]]:
    """Every file of a generated config repository."""
    rng = random.Random(seed)
    issuers = max(3, users // 100)
    for number in range(users):
        yield user_file(number, rng)
    for number in range(max(1, users // 10)):
        yield team_file(number, users, issuers, rng)
    for number in range(issuers):
        yield issuer_file(number)


def make_repository(folder: Path, users: int, seed: int = 42) -> Path:
    """A bare repository with one commit on `main`."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder)], check=True)
    commit(folder, files(users, seed), "Everything", parent=False)
    subprocess.run(["git", "-C", str(folder), "gc", "-q"], check=True)
    return folder


def commit(
    folder: Path, content: Iterator[tuple[str, str]] | list[tuple[str, str]], message: str, *, parent: bool = True
) -> None:
    """Add a commit to `main` that writes the given files."""
    process = subprocess.Popen(["git", "-C", str(folder), "fast-import", "--quiet"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    head = f"commit refs/heads/main\ncommitter Bench <bench@example.org> 1760000000 +0000\ndata {len(message)}\n{message}\n"
    process.stdin.write((head + ("from refs/heads/main^0\n" if parent else "")).encode())
    for path, text in content:
        data = text.encode()
        process.stdin.write(f"M 100644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n")
    process.stdin.close()
    if process.wait() != 0:
        raise RuntimeError("git fast-import failed")
