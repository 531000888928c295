"""accord proposals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler.cli.options import database_option, format_option, repository_options, utc_now

if TYPE_CHECKING:
    from reconciler.run.workshop import Shown
    from reconciler.source.proposals import BranchState
    from reconciler.source.pushing import Branch


class _Listing(click.Group):
    """A group that lists if no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` first, unless there is a command or a question."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(
    "proposals",
    cls=_Listing,
    epilog="""\b
Examples:
  accord proposals list
  accord proposals show accord/add-user-bob-1f2e3d
  accord proposals withdraw accord/add-user-bob-1f2e3d
""",
)
def command() -> None:
    """List, show or withdraw what was proposed: the branches below accord/ of the config repository."""


@command.command(
    "list",
    epilog="""\b
Examples:
  accord proposals list
  accord proposals list --repository https://git.example.org/pki/access.git --format json
""",
)
@repository_options
@format_option("text", "json")
def list_(repository: str | None, branch: str | None, path: str | None, format_: str) -> int:
    """List proposals, the newest first: open, merged (what they change is on the branch), or stale (they no longer apply)."""
    from reconciler.cli.output import say, write_json, write_lines
    from reconciler.cli.proposal_records import listed_document, listed_lines
    from reconciler.cli.proposing import answering
    from reconciler.run.deployment import read_deployment
    from reconciler.run.proposals import list_proposals

    def run() -> list[BranchState]:
        return list_proposals(read_deployment({"repository": repository, "branch": branch, "path": path}), now=utc_now())

    def write(found: list[BranchState]) -> None:
        if format_ == "json":
            write_json([listed_document(each) for each in found])
            return
        for each in found:
            write_lines(listed_lines(each))
        if not found:
            say("Nothing is proposed.")

    return answering(run, write, format_)


@command.command(
    "show",
    epilog="""\b
Examples:
  accord proposals show accord/add-user-bob-1f2e3d
  accord proposals show accord/add-user-bob-1f2e3d --format json
""",
)
@click.argument("proposal", metavar="BRANCH")
@repository_options
@database_option
@format_option("text", "json")
def show(proposal: str, repository: str | None, branch: str | None, path: str | None, database: str | None, format_: str) -> int:
    """Show a proposal as its preview did, and what merging it would change now."""
    from reconciler.cli.proposing import answering, write_shown
    from reconciler.run.deployment import read_deployment

    def run() -> Shown:
        from reconciler.run.proposals import show_proposal

        where = {"repository": repository, "branch": branch, "path": path}
        deployment = read_deployment({**where, **({} if database is None else {"database_url": database})})
        return show_proposal(deployment, proposal, now=utc_now())

    return answering(run, lambda shown: write_shown(shown, format_), format_)


@command.command(
    "withdraw",
    epilog="""\b
Examples:
  accord proposals withdraw accord/add-user-bob-1f2e3d
  accord proposals withdraw accord/add-user-bob-1f2e3d --expect 1f2e3d0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e
""",
)
@click.argument("proposal", metavar="BRANCH")
@click.option("--expect", metavar="COMMIT", help="Delete the branch only if it leads to this commit, which was shown.")
@repository_options
@format_option("text", "json")
def withdraw(
    proposal: str, expect: str | None, repository: str | None, branch: str | None, path: str | None, format_: str
) -> int:
    """Delete the branch of a proposal, which must be below accord/ and say who proposed it, unless it moves meanwhile."""
    from reconciler.cli.output import say, write_json
    from reconciler.cli.proposing import answering
    from reconciler.run.deployment import read_deployment
    from reconciler.run.proposals import withdraw as withdraw_proposal
    from reconciler.source.intent import read_commit

    def run() -> Branch:
        expected = read_commit(expect, "--expect")
        deployment = read_deployment({"repository": repository, "branch": branch, "path": path})
        return withdraw_proposal(deployment, proposal, expected, now=utc_now())

    def write(gone: Branch) -> None:
        if format_ == "json":
            write_json({"version": 1, "status": "withdrawn", "branch": gone.name, "commit": gone.commit})
        else:
            say(f"Withdrew {gone.name}, which was at {gone.commit}.")

    return answering(run, write, format_)
