"""The `molebm` command: finds the subcommands without importing them, and maps errors to exit codes."""

import importlib
from typing import Any

import click
from click.shell_completion import CompletionItem

from molebm import __version__
from molebm.cli.log import BAD_REQUEST, how_it_ended, with_json_option
from molebm.errors import MolebmError

COMMANDS = {  # name: (module:function, what the list of commands says)
    "generate": ("molebm.cli.generate:generate", "Make low-energy conformers of molecules."),
    "merge": ("molebm.cli.merge:merge", "Put the shards of a run together, every input exactly once."),
    "score": ("molebm.cli.score:score", "Say how plausible given conformers are, and what is wrong where."),
    "calibrate": ("molebm.cli.calibrate:calibrate", "Hold scores against structures that you trust."),
    "repair": ("molebm.cli.repair:repair", "Relax flagged conformers, and make no other molecule of them."),
    "prepare": ("molebm.cli.prepare:prepare", "Make reference ensembles to train on."),
    "prepare-openmm": ("molebm.cli.prepare_openmm:prepare_openmm", "Sample OpenMM force fields to train on."),
    "featurise": ("molebm.cli.featurise:featurise", "Describe molecules by numbers to train on."),
    "train": ("molebm.cli.train:train", "Learn an energy from prepared ensembles or features."),
    "energies": ("molebm.cli.energies:energies", "Give molecules the energy of a model of the family."),
    "free-energy": ("molebm.cli.free_energy:free_energy", "Tell the free energy between two energies or temperatures."),
    "report": ("molebm.cli.report:report", "Show conformers on a page of HTML."),
    "plot": ("molebm.cli.plot:plot", "Draw training curves, torsion profiles, energies and maps."),
    "doctor": ("molebm.cli.doctor:doctor", "Say what is installed here, and whether it works."),
    "completion": ("molebm.cli.completion:completion", "Print what completes molebm commands in a shell."),
}


class RequestFailed(click.ClickException):
    """A request that cannot be met, told in one line on standard error."""

    exit_code = BAD_REQUEST


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run, so that `molebm --help` answers at once.

    A command returns its exit code: 0 or nothing when all is done, 1 when some inputs failed.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands without importing one."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=told) for name, (_, told) in COMMANDS.items() if name.startswith(incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        try:
            exit_code = super().invoke(ctx)
        except MolebmError as error:
            raise RequestFailed(str(error)) from error
        except KeyboardInterrupt as error:
            exit_code, text = how_it_ended(error)
            click.echo(text, err=True)
        if exit_code:
            ctx.exit(exit_code)


def load_command(name: str) -> click.Command:
    """Import one subcommand and give it what all have, or say which package it lacks.

    Raises
    ------
    RequestFailed
        If a module that the command needs is not installed.
    """
    module_name, function_name = COMMANDS[name][0].split(":")
    try:
        command = getattr(importlib.import_module(module_name), function_name)
    except ModuleNotFoundError as error:
        raise RequestFailed(
            f"'molebm {name}' needs the Python module '{error.name}', which is not installed; "
            "install molebm with its dependencies"
        ) from error
    return with_json_option(command)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Molecular energy models: make conformers, score them, and learn the energy that does both.

    Exit codes: 0 all done, 1 some inputs failed, 2 the request was wrong, 130 interrupted, 143 terminated.
    """


def main() -> None:
    """Run the command line and leave with its exit code."""
    cli(prog_name="molebm")


if __name__ == "__main__":
    main()
