"""`molebm completion`: what makes a shell complete commands and options."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

EXAMPLES: Final = """\b
Examples:
  molebm completion bash >> ~/.bashrc
  molebm completion zsh >> ~/.zshrc
  molebm completion fish > ~/.config/fish/completions/molebm.fish
"""


@click.command(epilog=EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print the script that lets SHELL complete the names of commands, options, choices and files."""
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"this click cannot complete for {shell}", ctx)
    click.echo(found(ctx.find_root().command, {}, "molebm", "_MOLEBM_COMPLETE").source())
    return 0
