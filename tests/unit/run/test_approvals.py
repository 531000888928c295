"""Whose approval is told only by the rules of a forge that are known."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from reconciler.access.resources import Revision
from reconciler.cli.proposal_records import shown_document, shown_lines
from reconciler.run.workshop import Base, Shown, Workshop, approvals_of
from reconciler.source.code_owners import Approval
from reconciler.source.location import parse_remote

FILES = {"CODEOWNERS": b"/teams/ @a"}


def shop(location: str | None) -> Workshop:
    """A workshop that reads the files above from a repository at a location; None: on this machine."""
    source = SimpleNamespace(repository=SimpleNamespace(content=lambda _commit, file: FILES.get(file)))
    remote = None if location is None else parse_remote(location)
    return Workshop(cast("Any", None), cast("Any", source), remote, datetime(2099, 1, 1, tzinfo=UTC), 0)


@pytest.mark.parametrize(
    "location",
    [None, "https://github.com/o/r.git", "git@gitlab.example.org:o/r.git", "https://git.example.org/o/r.git"],
)
def test_codeowners_is_read_as_github_and_gitlab_do(location: str | None) -> None:
    assert approvals_of(shop(location), "", ["teams/x.yaml"]) == [Approval("teams/x.yaml", ("@a",))]


@pytest.mark.parametrize(
    "location",
    [
        "https://gitea.example.org/o/r.git",
        "git@forgejo.example.org:o/r.git",
        "https://codeberg.org/o/r.git",
        "https://bitbucket.org/o/r.git",
        "https://bitbucket.example.org/scm/o/r.git",
    ],
)
def test_of_another_forge_it_is_not_known(location: str) -> None:
    assert approvals_of(shop(location), "", ["teams/x.yaml"]) is None


def test_what_is_not_known_is_told_as_that() -> None:
    revision = Revision("0" * 40, "Alice", datetime(2099, 1, 1, tzinfo=UTC), "Start")
    nobody = Shown("open", Base(revision, 0, "main"), commit="0" * 40)
    unknown = nobody._replace(approvals=None)
    assert shown_document(nobody)["approvals"] == [] and shown_document(unknown)["approvals"] is None
    assert [line for _, line in shown_lines(unknown) if line not in {other for _, other in shown_lines(nobody)}] == [
        "Whose approval it needs is not known: Accord reads CODEOWNERS as GitHub and GitLab do"
    ]
