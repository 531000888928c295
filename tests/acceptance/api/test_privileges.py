"""The privileges that docs/install.md gives the API's account are enough for its work, and cannot change what Git declares."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
from client import PASSWORD, World
from issued import pem
from postgresql_server import PostgresqlServer
from served import TOP, command, serving
from waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.postgresql, pytest.mark.parametrize("database_kind", ["postgresql"])]


@pytest.fixture
def restricted(world: World, postgresql_server: PostgresqlServer) -> Iterator[str]:
    """The URL by which the API's account reaches the world's database."""
    (statements,) = re.findall(r"```sql\n(CREATE ROLE accord_api.*?)```", (TOP / "docs" / "install.md").read_text(), re.DOTALL)
    name = world.url.rpartition("/")[2]
    postgresql_server.execute(statements, name)
    yield postgresql_server.url(name, "accord_api")
    postgresql_server.execute("DROP OWNED BY accord_api; DROP ROLE accord_api", name)


def test_the_privileges_of_the_api_are_exactly_enough(
    world: World, restricted: str, postgresql_server: PostgresqlServer, tmp_path: Path
) -> None:
    for name in ("alice", "root"):
        done = command("user", "set-password", name, "--no-change-required", url=restricted, given=PASSWORD)
        assert done.returncode == 0, done.stderr
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    done = command("user", "import-hashes", "-", "--replace", url=restricted, given=f"alice:{hashed}\n")
    assert done.returncode == 0, done.stderr
    mailed = tmp_path / "mail" / "new"
    with serving(restricted, tmp_path, ACCORD_MAIL="on", ACCORD_MAILDIR=str(mailed.parent)) as server:

        def log_in(name: str, password: str = PASSWORD, status: int = 201) -> str:
            answer = server.call("POST", "/api/v1/sessions", body={"username": name, "password": password})
            assert answer.status == status
            return str(answer.json.get("token"))

        log_in("alice", "wrong password entirely", 401)
        alice, root = log_in("alice"), log_in("root")
        assert server.call("POST", "/api/v1/decisions", alice, {"issuer": "tls"}).json["allow"] is True
        minted = server.call("POST", "/api/v1/me/tokens", alice, {"name": "pipeline", "validFor": "1d"}).json
        body = {"pem": pem(), "issuer": "tls", "team": "web"}
        registered = server.call("POST", "/api/v1/certificates", alice, body)
        assert registered.status == 201
        assert server.call("PUT", f"/api/v1/certificates/{registered.json['id']}/revoked", alice).status == 204
        assert server.call("GET", "/api/v1/users/alice", root).status == 200
        assert server.call("DELETE", f"/api/v1/users/alice/tokens/{minted['id']}", root).status == 204
        assert server.call("POST", "/api/v1/users/alice/password-reset", root).status == 204
        assert server.call("PUT", "/api/v1/users/alice/disabled", root).status == 204
        assert server.call("GET", "/api/v1/me", alice).status == 401
        for path in ("/api/v1/teams", "/api/v1/issuers", "/api/v1/revisions", "/api/v1/audit"):
            assert server.call("GET", path, root).status == 200
        assert server.call("GET", "/readyz").status == 200
        until(lambda: mailed.is_dir() and len(list(mailed.iterdir())) >= 2, "the welcomes of bob and nobody")
        assert server.stop() == 0
    name = world.url.rpartition("/")[2]
    for permitted in (  # what an account of a directory needs
        "INSERT INTO users (name, source, email) VALUES ('zoe', 'directory', '')",
        "UPDATE users SET name = 'zoey', email = 'zoe@example.org', full_name = 'Zoe' WHERE name = 'zoe'",
        "DELETE FROM users WHERE name = 'zoey'",
    ):
        postgresql_server.execute(f"SET ROLE accord_api; {permitted}", name)
    for forbidden in (
        "UPDATE users SET disabled_by_git = true",
        "UPDATE users SET type = 'application'",
        "UPDATE teams SET administrator = true",
        "INSERT INTO memberships (team_id, user_id) VALUES (1, 1)",
        "UPDATE permissions SET until = NULL",
        "DELETE FROM memberships",
        "INSERT INTO issuers (name) VALUES ('x')",
        "UPDATE audit SET actor = 'x'",
        "DELETE FROM audit",
        "DELETE FROM certificates",
        "DELETE FROM revisions",
        "UPDATE settings SET policies = 'x'",
    ):
        with pytest.raises(Exception, match="permission denied"):
            postgresql_server.execute(f"SET ROLE accord_api; {forbidden}", name)
