"""Certificates that OpenSSL makes and reads, each with something that strict readers refuse."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

_CONFIG = """\
[req]
distinguished_name=dn
prompt=no
x509_extensions=ext
string_mask={mask}
[dn]
{subject}
[ext]
basicConstraints=CA:FALSE
{extensions}
"""
_POLICY = "certificatePolicies=ia5org,@pol\n[pol]\npolicyIdentifier=1.3.6.1.4.1.27781.2.5.1\nuserNotice.1=@no\n[no]\n"
_SAN = "subjectAltName=DNS:www.example.org"
CASES: Mapping[str, dict[str, str]] = {
    "plain": {},
    "a T.61 string": {"mask": "default", "subject": "O=Stadtwerke M\xfcnchen\nCN=t61"},
    "a BMP string": {"mask": "MASK:0x800", "subject": "O=Stadtwerke M\xfcnchen\nCN=bmp"},
    "a universal string": {"mask": "MASK:0x100", "subject": "CN=universal"},
    "a policy in Latin-1": {"extensions": f"{_SAN}\n{_POLICY}explicitText=VISIBLE:Certificado ra\xedz"},
    "an email address in Latin-1": {"extensions": f"{_SAN},email:j\xf6rg@example.org"},
    "a DNS name in Latin-1": {"extensions": f"{_SAN},DNS:m\xfcller.example.org"},
    "an IP address with a mask": {"extensions": "subjectAltName=DER:300c870a0a000000ff0000008700"},
    "a name of no known kind": {"extensions": "subjectAltName=DER:30059f8001810061"},
    "names that are damaged": {"extensions": "subjectAltName=DER:30038203"},
    "other names": {"extensions": f"{_SAN},otherName:1.2.3;UTF8:a,dirName:dn,RID:1.2.3"},
    "an unknown critical extension": {"extensions": "1.2.3.4=critical,DER:0500"},
    "no text in a constraint": {"extensions": "nameConstraints=critical,DER:3000"},
    "a wildcard of an address": {"extensions": "subjectAltName=URI:http://[::1"},
    "an unknown attribute": {"subject": "0.1.2.3.4.5=x\nCN=oid"},
    "control characters": {"subject": "CN=a\\rb"},
}
"""By name: the parts of a configuration for `openssl req`, in Latin-1."""
KEYS: Mapping[str, list[str]] = {
    "P-256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "brainpool": ["ec", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"],
    "a rare curve": ["ec", "-pkeyopt", "ec_paramgen_curve:sect283k1"],
    "explicit parameters": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"],
    "SM2": ["ec", "-pkeyopt", "ec_paramgen_curve:SM2"],
    "RSA of 1,024 bits": ["rsa:1024"],
    "RSA-PSS": ["rsa-pss", "-pkeyopt", "rsa_keygen_bits:1024"],
    "Ed448": ["ed448"],
}


def openssl(folder: Path, *arguments: str) -> str:
    """Run openssl in a folder; returns what it prints."""
    ended = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False, errors="replace")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def self_signed(
    folder: Path, *more: str, key: str = "P-256", mask: str = "utf8only", subject: str = "CN=www", extensions: str = ""
) -> str:
    """Make a certificate; returns its PEM, also in the folder as `made.pem`."""
    text = _CONFIG.format(mask=mask, subject=subject, extensions=extensions)
    (folder / "cnf").write_bytes(text.encode("latin-1"))
    command = ("req", "-x509", "-newkey", *KEYS[key], "-nodes", "-keyout", "key.pem", "-out", "made.pem", "-config", "cnf")
    openssl(folder, *command, *more)
    return (folder / "made.pem").read_text()
