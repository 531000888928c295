"""A small organisation's history, commit by commit: after each, the database holds what was counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scenario import ADMINISTRATORS, ConfigRepository, issuer, team, user

from benchmarks.organisation import replay
from reconciler.run.deployment import Deployment

HISTORY: list[tuple[dict[str, Any], tuple[int, int, int, int]]] = [
    # what a commit changes, and how many users, teams, issuers and access pairs there are then
    (dict(ADMINISTRATORS), (1, 1, 0, 0)),
    ({"users/alice.yaml": user("alice"), "issuers/tls.yaml": issuer("tls")}, (2, 1, 1, 0)),
    ({"teams/web.yaml": team("web", members=["alice"], issuers=["tls"])}, (2, 2, 1, 1)),
    ({"users/bob.yaml": user("bob"), "issuers/vpn.yaml": issuer("vpn")}, (3, 2, 2, 1)),
    ({"teams/web.yaml": team("web", members=["alice", "bob"], issuers=["tls", "vpn"])}, (3, 2, 2, 4)),
    ({"teams/net.yaml": team("net", members=["bob"], issuers=["vpn"])}, (3, 3, 2, 4)),  # bob has two ways to vpn now
    ({"teams/web.yaml": team("web", members=["alice"], issuers=["tls", "vpn"])}, (3, 3, 2, 3)),
    ({"teams/web.yaml": team("web", members=["alice", {"user": "bob", "until": "2020-01-31"}], issuers=["tls"])}, (3, 3, 2, 2)),
    ({"users/bob.yaml": user("bob", enabled=False)}, (3, 3, 2, 1)),
    ({"users/bob.yaml": user("bob"), "issuers/vpn.yaml": issuer("vpn", enabled=False)}, (3, 3, 2, 1)),
    ({"issuers/vpn.yaml": issuer("vpn"), "README.md": "who may use what"}, (3, 3, 2, 2)),
    ({"teams/net.yaml": None, "more/net.yaml": team("net", members=["bob", "alice"], issuers=["vpn"])}, (3, 3, 2, 3)),
    ({"users/bob.yaml": None, **{f"{place}.yaml": None for place in ("teams/web", "more/net")}}, (2, 1, 2, 0)),
    ({"more/net.yaml": team("net", members=["alice"], issuers=["vpn", "tls"])}, (2, 2, 2, 2)),
    ({"more/net.yaml": team("net", members=["alice", "root"], issuers=["tls"]), "issuers/vpn.yaml": None}, (2, 2, 1, 2)),
]


def test_a_history_gives_what_was_counted_by_hand_after_each_commit(database_url: str, tmp_path: Path) -> None:
    repository = ConfigRepository(tmp_path / "config.git")
    commits = [repository.commit(changed) for changed, _ in HISTORY]
    expected = [dict(zip(("users", "teams", "issuers", "access"), counted, strict=True)) for _, counted in HISTORY]
    deployment = Deployment(str(repository.path), "main", "", database_url, tmp_path / "cache")
    assert replay(deployment, commits, expected) == 0
