"""Why a repository takes no branch is told by what was said about it, and not by how the repository or the branch is called."""

from __future__ import annotations

import pytest

from reconciler.source.git_command import Attempt
from reconciler.source.refusals import local_refusal, refusal_of

NAMES = [
    "webhook",
    "access-denied",
    "forbidden",
    "read-only",
    "protected-branch",
    "signed-commits",
    "certificate",
    "network",
    "fetch",
]


def reason(errors: str, row: str = "") -> str:
    output = f"To https://git.example.org/pki/x.git\n!\tabc:refs/heads/accord/x\t[remote rejected] ({row})\nDone\n" if row else ""
    return refusal_of(Attempt(1, output, errors)).reason


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("errors", "row", "wanted"),
    [
        ("error: failed to push some refs to '{url}'\n", "internal server error", "refused"),
        ("To {url}\nerror: failed to push some refs to '{url}'\n", "internal server error", "refused"),
        ("remote: see {url}\nerror: failed to push some refs to '{url}'\n", "internal server error", "refused"),
        ("remote: error: cannot lock ref 'refs/heads/accord/{name}-x'\n", "failed to update ref", "busy"),
        ("error: failed to push some refs to '{url}'\n", "stale info", "exists"),
        ("error: failed to push some refs to '{url}'\n", "pre-receive hook declined", "hook"),
        ("fatal: unable to access '{url}/': Could not resolve host: {name}.example.org\n", "", "network"),
        ("fatal: unable to access '{url}/': Failed to connect to {name}.example.org port 443 after 1 ms\n", "", "network"),
        ("ssh: connect to host {name}.example.org port 22: Connection refused\r\nfatal: Could not read\n", "", "network"),
        ("fatal: unable to access '{url}/': The requested URL returned error: 403\n", "", "permission"),
        ("fatal: Authentication failed for '{url}/'\n", "", "permission"),
        ("fatal: repository '{url}/' not found\n", "", "permission"),
        ("{name}@git.example.org: Permission denied (publickey).\nfatal: Could not read from remote.\n", "", "permission"),
        ("fatal: '/srv/{name}.git' does not appear to be a git repository\n", "", "permission"),
    ],
)
def test_no_name_is_taken_for_a_reason(errors: str, row: str, wanted: str, name: str) -> None:
    assert reason(errors.format(url=f"https://git.example.org/pki/{name}.git", name=name), row) == wanted


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("cannot lock ref 'refs/heads/accord/{name}': Unable to create '/srv/{name}/refs/heads/x.lock': File exists", "busy"),
        ("cannot lock ref 'refs/heads/accord/x': Unable to create '/srv/{name}/x.lock': Permission denied", "permission"),
        ("cannot lock ref 'refs/heads/accord/{name}': 'refs/heads/accord' exists; cannot create 'refs/heads/accord/{name}'",
         "branch-name-taken"),
        ("cannot lock ref 'refs/heads/accord/{name}': reference already exists", "exists"),
        ("no space left on device", "refused"),
    ],
)  # fmt: skip
def test_no_name_of_a_repository_on_this_machine_is_either(message: str, wanted: str, name: str) -> None:
    assert local_refusal(f"git failed in /srv/{name}.git: fatal: {message.format(name=name)}").reason == wanted


@pytest.mark.parametrize(
    "text", ["'" * 100_000, "a" * 100_000, "@" * 100_000, "a@" * 50_000, "https://" * 12_000, "host " * 20_000]
)
def test_hostile_answers_end_soon(text: str) -> None:
    reason(text, "internal server error")
    local_refusal(f"git failed in {text}")
