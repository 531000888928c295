"""A real Active Directory domain controller (Samba) for tests: on an address of the loopback network, ended by its pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from ldap3 import BASE as ONE
from ldap3 import MODIFY_ADD, MODIFY_DELETE, MODIFY_REPLACE, NONE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPException, LDAPInvalidCredentialsResult, LDAPNoSuchObjectResult
from ldap3.protocol.formatters.formatters import format_sid
from waiting import LONG, until

REALM, NETBIOS, HOST = "corp.example.org", "CORP", "dc1"
BASE = "DC=corp,DC=example,DC=org"
POLICIES = "CN=Password Settings Container,CN=System"
ADMINISTRATOR, PASSWORD = "Passw0rd-Admin!", "Passw0rd-User1"
PACKAGES = ("samba", "samba-ad-provision", "samba-dsdb-modules", "samba-vfs-modules", "python3-samba")
_PASSWORD_TOO_OLD = """
import glob, sys, time, ldb
raw = ldb.Ldb(glob.glob(sys.argv[1] + '/sam.ldb.d/DC=*.ldb')[0])
message = ldb.Message(ldb.Dn(raw, sys.argv[2]))
value = str(int((time.time() - 100 * 86400 + 11644473600) * 10**7))
message['pwdLastSet'] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, 'pwdLastSet')
raw.modify(message)
"""


def is_installed() -> bool:
    """Whether a domain controller can be run here: its programs, and root for its ports."""
    return shutil.which("samba") is not None and shutil.which("samba-tool") is not None and os.geteuid() == 0


def make_golden(folder: Path, realm: str = REALM) -> None:
    """Provision a domain with certificates for a range of loopback addresses; it is copied for each controller."""
    folder.mkdir(parents=True)
    _certificates(folder / "certs", realm)
    empty = folder / "empty.conf"
    empty.write_text("[global]\n")
    command = [
        "samba-tool",
        "domain",
        "provision",
        "-q",
        "-s",
        str(empty),
        f"--realm={realm.upper()}",
        f"--domain={netbios(realm)}",
    ]
    options = ["--server-role=dc", "--dns-backend=NONE", f"--host-name={HOST}", "--host-ip=127.0.0.10"]
    subprocess.run(
        [*command, *options, f"--adminpass={ADMINISTRATOR}", f"--targetdir={folder}/dc"], check=True, capture_output=True
    )


def netbios(realm: str) -> str:
    """A domain's short name."""
    return realm.partition(".")[0].upper()


def _certificates(folder: Path, realm: str) -> None:
    folder.mkdir()
    names = ",".join([f"DNS:{HOST}.{realm}", "DNS:localhost", *(f"IP:127.0.0.{number}" for number in range(10, 60))])
    (folder / "dc.ext").write_text(
        f"subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\n"
        "keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth\n"
    )

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "rsa:2048", "-nodes")
    usage = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "90", "-subj", "/CN=Test CA", *usage)
    openssl("req", *key, "-keyout", "dc.key", "-out", "dc.csr", "-subj", f"/CN={HOST}.{realm}")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "90", "-extfile", "dc.ext")
    openssl("x509", "-req", "-in", "dc.csr", *signing, "-out", "dc.pem")
    for name in ("dc.key", "ca.key"):
        (folder / name).chmod(0o600)  # Samba refuses a key that others can read


class SambaDomain:
    """One controller of the domain, with its own copy of it."""

    def __init__(self, golden: Path, folder: Path, address: str, realm: str = REALM) -> None:
        self.address = address
        self.realm = realm
        self.base = ",".join(f"DC={part}" for part in realm.split("."))
        self.folder = folder
        self.ca_file = folder / "certs" / "ca.pem"
        subprocess.run(["cp", "-a", "--sparse=always", str(golden), str(folder)], check=True)
        for name in ("run", "dc/cache"):
            (folder / name).mkdir(exist_ok=True, parents=True)
        (folder / "smb.conf").write_text(self._configuration())
        self._process: subprocess.Popen[bytes] | None = None

    def _configuration(self) -> str:
        folder = self.folder
        options = {
            "workgroup": netbios(self.realm),
            "realm": self.realm.upper(),
            "netbios name": HOST.upper(),
            "server role": "active directory domain controller",
            "server services": "ldap",
            "interfaces": f"{self.address}/8",
            "bind interfaces only": "yes",
            "private dir": f"{folder}/dc/private",
            "state directory": f"{folder}/dc/state",
            "cache directory": f"{folder}/dc/cache",
            "lock directory": f"{folder}/dc",
            "binddns dir": f"{folder}/dc/bind-dns",
            "pid directory": f"{folder}/run",
            "ncalrpc dir": f"{folder}/run/ncalrpc",
            "winbindd socket directory": f"{folder}/run/winbindd",
            "ntp signd socket directory": f"{folder}/run/ntp",
            "log file": f"{folder}/log.%m",
            "tls enabled": "yes",
            "tls cafile": f"{folder}/certs/ca.pem",
            "tls certfile": f"{folder}/certs/dc.pem",
            "tls keyfile": f"{folder}/certs/dc.key",
            "ldap server require strong auth": "allow_sasl_over_tls",
            "load printers": "no",
        }
        return "[global]\n" + "".join(f"\t{name} = {value}\n" for name, value in options.items())

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"ldaps://{self.address}"

    def start(self) -> None:
        """Start it, and wait until a TLS handshake succeeds: before that it accepts connections and drops them."""
        command = ["samba", "--foreground", "--no-process-group", "--debug-stdout", "-M", "single", "-d", "1"]
        with (self.folder / "samba.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "-s", str(self.folder / "smb.conf")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        until(self._answers, "a domain controller's answer")

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, (self.folder / "samba.log").read_text()[-2000:]
        try:
            with self._administrator():
                return True
        except LDAPException:
            return False

    def pause(self) -> None:
        """Let it hang: it accepts connections, and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End a pause."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it by its pid."""
        if self._process is not None:
            self.go_on()
            self._process.terminate()
            self._process.wait(timeout=LONG)
            self._process = None

    def _administrator(self) -> AbstractContextManager[Connection]:
        return self._bound(f"Administrator@{self.realm}", ADMINISTRATOR)

    @contextmanager
    def _bound(self, user: str, password: str | bytes) -> Iterator[Connection]:
        tls = Tls(validate=ssl.CERT_REQUIRED, version=ssl.PROTOCOL_TLS_CLIENT, ca_certs_file=str(self.ca_file))
        server = Server(self.address, 636, use_ssl=True, tls=tls, connect_timeout=LONG, get_info=NONE)
        connection = Connection(server, user, password, raise_exceptions=True, check_names=False)
        try:
            connection.bind()
            yield connection
        finally:
            connection.unbind()
            if connection.socket is not None:
                connection.socket.close()  # which ldap3 leaves open where opening failed half-way

    # What an administrator of the domain does

    def add_user(self, name: str, **attributes: Any) -> str:
        """A new account with the password that all have; its DN."""
        dn: str = attributes.pop("dn", f"CN={name},CN=Users,{self.base}")
        given = {"sAMAccountName": name, "displayName": f"{name} Test", "mail": f"{name}@{self.realm}"} | attributes
        with self._administrator() as connection:
            fixed = {"unicodePwd": f'"{PASSWORD}"'.encode("utf-16-le"), "userAccountControl": "512"}
            connection.add(dn, ["user"], fixed | given)
        return dn

    def add_group(self, name: str, *members: str) -> str:
        """A new group; its DN. Members are DNs."""
        dn = f"CN={name},CN=Users,{self.base}"
        with self._administrator() as connection:
            connection.add(dn, ["group"], {"sAMAccountName": name} | ({"member": list(members)} if members else {}))
        return dn

    def join(self, group: str, member: str) -> None:
        """Put somebody into a group, by DNs."""
        self._modify(group, {"member": [(MODIFY_ADD, [member])]})

    def leave(self, group: str, member: str) -> None:
        """Take somebody out of a group, by DNs."""
        self._modify(group, {"member": [(MODIFY_DELETE, [member])]})

    def set(self, dn: str, **attributes: str | bytes) -> None:
        """Replace attributes."""
        self._modify(dn, {name: [(MODIFY_REPLACE, [value])] for name, value in attributes.items()})

    def rename(self, dn: str, name: str, *, superior: str | None = None) -> str:
        """Another name, or another place; the new DN."""
        with self._administrator() as connection:
            connection.modify_dn(dn, f"CN={name}", new_superior=superior)
        return f"CN={name},{superior or dn.split(',', 1)[1]}"

    def delete(self, dn: str) -> None:
        """Delete an entry."""
        with self._administrator() as connection:
            connection.delete(dn)

    def add_unit(self, name: str) -> str:
        """An organizational unit; its DN."""
        dn = f"OU={name},{self.base}"
        with self._administrator() as connection:
            connection.add(dn, ["organizationalUnit"])
        return dn

    def read(self, dn: str, *attributes: str) -> dict[str, Any]:
        """Attributes of an entry."""
        with self._administrator() as connection:
            connection.search(dn, "(objectClass=*)", ONE, attributes=list(attributes))
            return dict(connection.response[0]["attributes"])

    def exists(self, dn: str) -> bool:
        """Whether there is an entry."""
        with self._administrator() as connection:
            try:
                return bool(connection.search(dn, "(objectClass=*)", ONE))
            except LDAPNoSuchObjectResult:
                return False

    def bind(self, dn: str, password: str | bytes) -> bool:
        """Whether a password is right, asked past everything else."""
        with suppress(LDAPInvalidCredentialsResult), self._bound(dn, password):
            return True
        return False

    def add_password_settings(self, name: str, threshold: int, *applies_to: str) -> str:
        """A password settings object with a lock-out threshold of its own, for some accounts or groups by DN; its DN."""
        dn, minutes = f"CN={name},{POLICIES},{self.base}", str(-30 * 60 * 10**7)
        attributes = {
            "msDS-PasswordSettingsPrecedence": "1",
            "msDS-PasswordReversibleEncryptionEnabled": "FALSE",
            "msDS-PasswordHistoryLength": "0",
            "msDS-PasswordComplexityEnabled": "FALSE",
            "msDS-MinimumPasswordLength": "1",
            "msDS-MinimumPasswordAge": "0",
            "msDS-MaximumPasswordAge": str(-42 * 86400 * 10**7),
            "msDS-LockoutThreshold": str(threshold),
            "msDS-LockoutObservationWindow": minutes,
            "msDS-LockoutDuration": minutes,
            "msDS-PSOAppliesTo": list(applies_to),
        }
        with self._administrator() as connection:
            connection.add(dn, ["msDS-PasswordSettings"], attributes)
        return dn

    def change_rights(self, dn: str, entry: str, name: str) -> None:
        """Add an entry to the access control list of something, in SDDL, for an account: `{}` stands for its SID."""
        with self._administrator() as connection:
            connection.search(f"CN={name},CN=Users,{self.base}", "(objectClass=*)", ONE, attributes=["objectSid"])
            sid = format_sid(connection.response[0]["raw_attributes"]["objectSid"][0])
        where = ["-H", f"{self.folder}/dc/private/sam.ldb", "-s", f"{self.folder}/smb.conf"]
        change = ["samba-tool", "dsacl", "set", *where, f"--objectdn={dn}", f"--sddl={entry.format(sid)}"]
        subprocess.run(change, check=True, capture_output=True)

    def make_password_too_old(self, dn: str) -> None:
        """Write-protected in the directory, so written below it, with the Python that Samba came with."""
        command = ["/usr/bin/python3", "-c", _PASSWORD_TOO_OLD, f"{self.folder}/dc/private", dn]
        subprocess.run(command, check=True, capture_output=True)

    def _modify(self, dn: str, changes: Any) -> None:
        with self._administrator() as connection:
            connection.modify(dn, changes)


if __name__ == "__main__":
    make_golden(Path(sys.argv[1]))


def free_address() -> str:
    """A loopback address with free LDAP ports, because Samba cannot choose others. Each worker searches its own range."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for number in range(10 + 10 * (worker % 4), 50):
        address = f"127.0.0.{number}"
        try:
            for port in (389, 636):
                with socket.socket() as probe:
                    probe.bind((address, port))
        except OSError:
            continue
        return address
    raise AssertionError("no loopback address is free for a domain controller")


@contextmanager
def running(folder: Path, realm: str = REALM) -> Iterator[SambaDomain]:
    """A new controller with a lockout threshold of 4, and an account `svc` that may read what Accord needs."""
    make_golden(folder / "golden", realm)
    found = SambaDomain(folder / "golden", folder / "dc", free_address(), realm)
    try:
        found.start()
        minutes = str(-30 * 60 * 10**7)
        policy = {"lockoutThreshold": "4", "lockoutDuration": minutes, "lockOutObservationWindow": minutes, "minPwdAge": "0"}
        found.set(found.base, **policy, maxPwdAge=str(-42 * 86400 * 10**7), pwdProperties="0")
        found.add_user("svc")
        found.change_rights(f"{POLICIES},{found.base}", "(A;CI;RPLCLORC;;;{})", "svc")
        yield found
    finally:
        found.stop()
        shutil.rmtree(folder)
