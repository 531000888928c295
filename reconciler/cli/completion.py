"""accord completion."""

from __future__ import annotations

import click

from reconciler.cli.exits import OK


@click.command(
    "completion",
    epilog="""\b
Examples:
  accord completion bash >> ~/.bashrc
  accord completion zsh >> ~/.zshrc
  accord completion fish > ~/.config/fish/completions/accord.fish
""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print a shell's completion script."""
    from click.shell_completion import get_completion_class

    from reconciler.cli.main import accord

    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(accord, {}, "accord", "_ACCORD_COMPLETE").source())
    return OK
