"""An organisation that existing clients work for, its certificates, and the server that answers them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from certdog_client import CertdogClient
from client import PASSWORD, World
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from issued import certificate
from scenario import issuer, team, user
from served import Server, serving

LATIN_PASSWORD = "un mot de passe privé, et assez long"
ISSUER = "Certdog TLS"
_KEY = ec.generate_private_key(ec.SECP256R1())
_ROOT = certificate("Test Root CA", ca=True, issuer="Test Root CA", path_length=1, own_key=_KEY, key=_KEY)
_CA = x509.Name.from_rfc4514_string("CN=Test Issuing CA,O=Krestel")


def _issuing() -> x509.Certificate:
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(
        _ROOT.subject, _CA, _KEY.public_key(), 77, now - timedelta(days=400), now + timedelta(days=400)
    )
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return made.sign(_KEY, SHA256())


def pem(made: x509.Certificate) -> str:
    return made.public_bytes(Encoding.PEM).decode()


CHAIN = [pem(_issuing()), pem(_ROOT)]
"""What the issuer declares."""

ORGANISATION: dict[str, Any] = {
    "users/fred.yaml": user("fred"),
    "users/zoe.yaml": user("zoe"),
    "users/lone.yaml": user("lone"),
    "users/agent.yaml": user("agent", type="application"),
    "teams/web.yaml": team(
        "web",
        description="L'équipe web",
        members=["fred"],
        issuers=["internal", "vpn"],
        permittedIPs=["127.0.0.0/8", "10.0.0.0/8"],
    ),
    "teams/ops.yaml": team("ops", members=["fred"], issuers=["vpn"], adGroups=["PKI-Ops"], suppressReminderEmails=True),
    "teams/others.yaml": team("others", members=["zoe"], issuers=["internal"]),
    "teams/agents.yaml": team("agents", members=["agent"], mayDecideFor=["web"]),
    "issuers/internal.yaml": issuer("internal", displayName=ISSUER, caCertificates=CHAIN),
}


class Desk:
    """A running server, and the world that it answers for."""

    def __init__(self, world: World, server: Server) -> None:
        self.world = world
        self.server = server
        self._secrets: dict[tuple[str, str], str] = {}

    def secret(self, name: str = "fred", kind: Any = "token") -> str:
        """The secret of an account's API token, or of its session: always the same one, for an account has only so many."""
        if (name, kind) not in self._secrets:
            self._secrets[name, kind] = self.world.mint(name, kind).secret
        return self._secrets[name, kind]

    def client(self, name: str = "fred", **more: Any) -> CertdogClient:
        """A client with an API token of an account's."""
        return CertdogClient(self.server.port, token=self.secret(name), **more)

    def stranger(self, **more: Any) -> CertdogClient:
        return CertdogClient(self.server.port, **more)


@contextmanager
def served(world: World, folder: Path, *options: str) -> Iterator[Desk]:
    """The organisation applied to a world, and a server over it. `fred` and `zoe` have passwords."""
    world.apply(ORGANISATION)
    world.set_password("fred")
    world.set_password("zoe", LATIN_PASSWORD)
    with serving(world.url, folder, *options) as server:
        yield Desk(world, server)


def issued(
    dn: str = "CN=www.example.org", *names: str, serial: int | None = None, age: int = 0, lives: int = 90
) -> x509.Certificate:
    """A certificate of the declared issuer: its subject (RFC 4514), DNS names, the days since it began, and those it lives."""
    begins = datetime.now(UTC) - timedelta(days=age, hours=1)
    number = x509.random_serial_number() if serial is None else serial
    subject = x509.Name.from_rfc4514_string(dn)
    made = x509.CertificateBuilder(_CA, subject, _KEY.public_key(), number, begins, begins + timedelta(days=lives))
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    return made.sign(_KEY, SHA256())


__all__ = ["CHAIN", "ISSUER", "LATIN_PASSWORD", "PASSWORD", "Desk", "issued", "pem", "served"]
