"""Groups of commands, which name the nearest one where there is none of a name."""

from __future__ import annotations

import click

from reconciler.wording.nearest import did_you_mean


class Group(click.Group):
    """A group whose commands are listed in the order in which they were written."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Not in that of the alphabet."""
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command by its name."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-") and not ctx.resilient_parsing:
            meant = did_you_mean(args[0], known) or f"; there are {', '.join(known)}"
            raise click.UsageError(f"there is no command `{args[0]}`{meant}", ctx)
        return super().resolve_command(ctx, args)
