"""What of a database can be declared: what is exported is valid, and what is not is named."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from reconciler.access.resources import DeclaredState, Guards, Issuer, Membership, Permission, Settings, Team, User
from reconciler.source.cache import BlobCache
from reconciler.source.declarable import declarable
from reconciler.source.export import export_state
from reconciler.source.load import load_folder
from reconciler.source.rules import problems_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)

VALID = DeclaredState(
    users={"alice": User("alice", "alice@example.org")},
    teams={"web": Team("web", members=(Membership("alice"),), permissions=(Permission("tls"),))},
    issuers={"tls": Issuer("tls", "Public TLS")},
    settings=Settings(),
)


def test_a_state_that_is_valid_is_exported_whole() -> None:
    assert declarable(VALID, NOW) == (VALID, [])
    assert declarable(DeclaredState(), NOW) == (DeclaredState(), [])


def test_resources_that_cannot_be_declared_are_left_out_with_every_reference(tmp_path: Path) -> None:
    web = VALID.teams["web"]
    foreign = DeclaredState(
        users={**VALID.users, "bob": User("bob", "no address"), "\u00e9v\u00e9": User("\u00e9v\u00e9", "eve@example.org")},
        teams={
            "everyone": Team("everyone"),
            "web": web._replace(
                members=(*web.members, Membership("bob"), Membership("\u00e9v\u00e9")),
                permissions=(*web.permissions, Permission("vpn")),
                may_decide_for=("everyone", "web"),
            ),
        },
        issuers={**VALID.issuers, "vpn": Issuer("vpn", "public tls")},
        settings=Settings(guards=Guards(separation_of_duties=(("everyone", "web"),))),
    )
    state, flaws = declarable(foreign, NOW)
    assert state == VALID._replace(teams={"web": web._replace(may_decide_for=("web",))})
    assert [flaw[:2] for flaw in flaws] == [
        ("User", "\u00e9v\u00e9"), ("Team", "web"), ("User", "bob"), ("Team", "everyone"), ("Team", "web"), ("Team", "web"),
        ("Settings", "default"), ("Issuer", "vpn"), ("Team", "web"),
    ]  # fmt: skip
    assert "write it like `alice@example.org`" in flaws[2].reason
    assert "people could not tell them apart" in flaws[-2].reason
    assert flaws[-1].reason == "only its reference to Issuer `vpn`, which is left out"
    export_state(state, tmp_path / "config")
    assert problems_of(load_folder(tmp_path / "config", cache=BlobCache(None)), NOW) == []
