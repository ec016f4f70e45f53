"""Every command explains itself by example, can be followed by a program, and takes the options that mean something."""

import itertools
import json
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from molebm.cli.main import COMMANDS, cli, load_command

REPOSITORY = Path(__file__).resolve().parents[2]
AT_ONCE = {"completion", "doctor", "merge", "plot", "report"}  # nothing is drawn at random, and nothing is shared out
NO_SEED = {"calibrate", "energies", "featurise"}  # nothing is drawn
NO_DEVICE = {"featurise", "free-energy", "prepare", "prepare-openmm"}  # chains run on the CPU; OpenMM has --platform
NO_THREADS = {"calibrate", "energies", "featurise", "free-energy"}  # one thread, in which batches are computed

each_command = pytest.mark.parametrize("name", COMMANDS)


def options_of(name: str) -> set[str]:
    return {one for parameter in load_command(name).params for one in parameter.opts}


@each_command
def test_examples_in_the_help_are_accepted(name):
    epilog = load_command(name).epilog or ""
    lines = epilog.replace("\\\n", " ").splitlines()
    examples = [shlex.split(line, comments=True) for line in lines if line.strip().startswith("molebm ")]
    assert examples
    for _, command, *arguments in examples:
        given = list(itertools.takewhile(lambda word: not word.startswith(">"), arguments))
        load_command(command).make_context(f"molebm {command}", given)


@each_command
def test_a_program_can_follow_it(name):
    assert "--json" in options_of(name)
    assert sum(parameter.name == "json_log" for parameter in load_command(name).params) == 1


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in AT_ONCE])
def test_seed_device_and_threads_are_options_where_they_mean_something(name):
    wanted = {"--quiet"}
    wanted |= {"--seed"} if name not in NO_SEED else set()
    wanted |= {"--device"} if name not in NO_DEVICE else set()
    wanted |= {"--threads"} if name not in NO_THREADS else set()
    assert wanted <= options_of(name)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell):
    result = CliRunner().invoke(cli, ["completion", shell], prog_name="molebm")
    assert result.exit_code == 0, result.output
    assert "_MOLEBM_COMPLETE" in result.stdout and "molebm" in result.stdout


def test_names_of_commands_are_completed_without_importing_one():
    code = (
        "import sys\nfrom click.shell_completion import ShellComplete\nfrom molebm.cli.main import cli\n"
        "shell = ShellComplete(cli, {}, 'molebm', '_MOLEBM_COMPLETE')\n"
        "print([one.value for one in shell.get_completions([], 'pre')])\n"
        "print({'torch', 'rdkit', 'numpy', 'pydantic'} & set(sys.modules), 'molebm.cli.prepare' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert done.stdout == "['prepare', 'prepare-openmm']\nset() False\n"


def test_options_and_choices_are_completed():
    shell = ShellComplete(cli, {}, "molebm", "_MOLEBM_COMPLETE")
    assert "--n-conformers" in [one.value for one in shell.get_completions(["generate"], "--n")]
    assert [one.value for one in shell.get_completions(["generate", "--choose"], "l")] == ["lowest"]


def test_every_option_has_a_name_of_its_own_and_says_what_it_does():
    for name in COMMANDS:
        parameters = load_command(name).params
        given = [one for parameter in parameters for one in (*parameter.opts, *parameter.secondary_opts)]
        assert len(set(given)) == len(given), name
        assert all(isinstance(parameter, click.Argument) or parameter.help for parameter in parameters), name


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in {"completion", "doctor"}])
def test_a_request_that_cannot_be_met_is_told_as_json(name, tmp_path, monkeypatch):
    """An example of each command, of files that are not there."""
    monkeypatch.chdir(tmp_path)
    lines = (load_command(name).epilog or "").replace("\\\n", " ").splitlines()
    examples = [shlex.split(line) for line in lines if line.strip().startswith("molebm ")]
    example = next(words for words in examples if any(Path(word).suffix or "/" in word for word in words[2:4]))
    if name == "prepare-openmm":
        example = next(words for words in examples if "--system" in words)
    result = CliRunner().invoke(cli, [*example[1:], "--json"], prog_name="molebm")
    events = [one for line in result.stderr.splitlines() if (one := json.loads(line))["event"] != "progress"]
    assert [one["event"] for one in events] == ["start", "error", "done"], result.output
    assert (result.exit_code, events[-1]["exit_code"]) == (2, 2)
    assert events[1]["text"] and events[0]["command"] == name
