"""Where a pull request is opened, and why a push was refused."""

from __future__ import annotations

import pytest

from reconciler.source.forges import pull_request_link
from reconciler.source.git_command import Attempt
from reconciler.source.location import parse_remote
from reconciler.source.refusals import local_refusal, refusal_of

B = "accord/add-bob-1f2e3d"


@pytest.mark.parametrize(
    ("location", "link"),
    [
        ("https://github.com/o/r.git", f"https://github.com/o/r/compare/main...{B}?expand=1"),
        ("git@github.com:o/r.git", f"https://github.com/o/r/compare/main...{B}?expand=1"),
        ("ssh://git@github.example.org:2222/o/r", f"https://github.example.org/o/r/compare/main...{B}?expand=1"),
        (
            "https://u:t@gitlab.example.org:8443/g/sub/r.git",
            "https://gitlab.example.org:8443/g/sub/r/-/merge_requests/new?merge_request%5Bsource_branch%5D=accord%2Fadd-bob-1f2e3d",
        ),
        ("https://codeberg.org/o/r.git", f"https://codeberg.org/o/r/compare/main...{B}"),
        ("https://gitea.example.org/o/r", f"https://gitea.example.org/o/r/compare/main...{B}"),
        ("https://git.forgejo.example/o/r", f"https://git.forgejo.example/o/r/compare/main...{B}"),
        ("https://bitbucket.org/o/r.git", "https://bitbucket.org/o/r/pull-requests/new?source=accord%2Fadd-bob-1f2e3d"),
        (
            "https://bitbucket.example.org/scm/PKI/r.git",
            f"https://bitbucket.example.org/projects/PKI/repos/r/pull-requests?create&sourceBranch=refs/heads/{B}",
        ),
        (
            "ssh://git@bitbucket.example.org:7999/~ada/r.git",
            f"https://bitbucket.example.org/users/ada/repos/r/pull-requests?create&sourceBranch=refs/heads/{B}",
        ),
        ("https://git.example.org/o/r.git", None),
        ("https://notgithub.com/o/r.git", None),
        ("https://github.com/r.git", None),
        ("file:///srv/github/o/r.git", None),
    ],
)
def test_the_link_follows_the_forge_s_pattern(location: str, link: str | None) -> None:
    assert pull_request_link(parse_remote(location), "", B, "main") == link


@pytest.mark.parametrize(
    ("said", "link"),
    [
        ("Create a pull request:\nhttps://git.example.org/o/r/pull/new/x", "https://git.example.org/o/r/pull/new/x"),
        (
            "see https://git.example.org/help. Then https://git.example.org/o/r/compare/x.",
            "https://git.example.org/o/r/compare/x",
        ),
        ("https://git.example.org/o/r/-/merge_requests/new?merge_request%5Bsource_branch%5D=x", None),
        ("https://evil.example/pull/new/x", ""),
        ("https://git.example.org.evil.example/pull/new/x", ""),
        ("https://git.example.org@evil.example/pull/new/x", ""),
        ("https://user:secret@git.example.org/pull/new/x", ""),
        ("http://git.example.org/pull/new/x javascript://git.example.org/pull/new/x", ""),
        ("https://[::1", ""),
    ],
)
def test_only_an_https_address_of_the_remote_s_own_host_is_believed(said: str, link: str | None) -> None:
    found = pull_request_link(parse_remote("git@git.example.org:o/r.git"), said, B, "main")
    assert found == (said if link is None else link or None)


@pytest.mark.parametrize(
    ("status", "output", "errors", "reason"),
    [
        (None, "", "", "timeout"),
        (128, "", "fatal: unable to access 'https://h/': Could not resolve host: h", "network"),
        (128, "", "fatal: unable to access 'https://h/': The requested URL returned error: 403", "permission"),
        (128, "", "fatal: unable to access 'https://h/': The requested URL returned error: 503", "network"),
        (128, "", "fatal: Authentication failed for 'https://h/'", "permission"),
        (128, "", "ERROR: Permission to o/r.git denied to bot.\nfatal: Could not read from remote repository.", "permission"),
        (128, "", "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.", "permission"),
        (128, "", "ERROR: The key you are authenticating with has been marked as read only.", "permission"),
        (128, "", "fatal: the remote end hung up unexpectedly", "network"),
        (128, "", "error: RPC failed; curl 56 GnuTLS recv error", "network"),
        (128, "", "", "network"),
        (1, "!\tx:y\t[rejected] (stale info)", "", "exists"),
        (
            1,
            "!\tx:y\t[remote rejected] (cannot lock ref 'y': 'refs/heads/accord' exists; cannot create 'y')",
            "",
            "branch-name-taken",
        ),
        (1, "!\tx:y\t[remote rejected] (failed to update ref)", "remote: error: 'refs/heads/accord' exists", "branch-name-taken"),
        (1, "!\tx:y\t[remote rejected] (pre-receive hook declined)", "remote: no", "hook"),
        (1, "!\tx:y\t[remote rejected] (protected branch hook declined)", "remote: no", "protected-branch"),
        (
            1,
            "!\tx:y\t[remote rejected] (unpacker error)",
            "remote: error: insufficient permission for adding an object",
            "permission",
        ),
        (1, "!\tx:y\t[remote rejected] (something new)", "", "refused"),
    ],
)
def test_each_refusal_is_told_apart(status: int | None, output: str, errors: str, reason: str) -> None:
    assert refusal_of(Attempt(status, output, errors)).reason == reason


def test_a_remote_s_words_are_inert_short_and_without_credentials() -> None:
    said = refusal_of(Attempt(1, "!\tx", f"remote: \x1b[31mtry https://u:secret@h/r\u202e\nremote: {'x' * 1_000_000}\n")).said
    assert "secret" not in said and "\x1b" not in said and "\u202e" not in said and len(said) <= 4_000


def test_a_local_repository_s_words_tell_the_same_things_apart() -> None:
    assert local_refusal("cannot lock ref 'x': 'refs/heads/accord' exists; cannot create 'x'").reason == "branch-name-taken"
    assert local_refusal("cannot lock ref 'x': reference already exists").reason == "exists"
    assert local_refusal("Unable to create '/r/x.lock': File exists").reason == "busy"
    assert local_refusal("unable to create temporary file: Permission denied").reason == "permission"
    assert local_refusal("something else").reason == "refused"
