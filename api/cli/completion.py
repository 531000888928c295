"""accord-api completion."""

from __future__ import annotations

import click


@click.command(
    "completion",
    epilog="""\b
Examples:
  accord-api completion bash >> ~/.bashrc
  accord-api completion zsh >> ~/.zshrc
  accord-api completion fish > ~/.config/fish/completions/accord-api.fish
""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for a shell."""
    from click.shell_completion import get_completion_class

    from api.cli.main import accord_api

    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(accord_api, {}, "accord-api", "_ACCORD_API_COMPLETE").source())
