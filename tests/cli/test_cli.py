import importlib.util
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import click
import pytest
import torch
from click.testing import CliRunner, Result

from molebm import __version__
from molebm.cli import main
from molebm.cli.interruption import Terminated, terminated_by_signals
from molebm.cli.options import check_output, resolve_device, resolve_threads
from molebm.cli.progress import progress
from molebm.errors import MoleculeError, RequestError

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def run_as_command(monkeypatch):
    """Run a function as the body of a subcommand."""

    def run(body) -> Result:
        module = ModuleType("molebm_test_command")
        module.job = click.command("job")(body)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(main.COMMANDS, "job", (f"{module.__name__}:job", "A job."))
        return CliRunner().invoke(main.cli, ["job"])

    return run


def test_help_lists_every_command_and_imports_no_heavy_package():
    code = (
        "import sys; sys.argv = ['molebm', '--help']\n"
        "import molebm.cli.main as m\n"
        "try: m.main()\n"
        "finally: print('IMPORTED', {'torch', 'rdkit', 'openmm', 'numpy', 'pandas', 'pydantic'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert all(f"  {name} " in done.stdout for name in main.COMMANDS)
    assert "IMPORTED set()" in done.stdout


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_listed_command_is_there_and_explains_itself(name):
    module_name = main.COMMANDS[name][0].split(":")[0]
    if importlib.util.find_spec(module_name) is None:
        pytest.skip(f"{module_name} is not written yet")
    result = CliRunner().invoke(main.cli, [name, "--help"], prog_name="molebm")
    assert result.exit_code == 0, result.output
    assert f"molebm {name}" in result.output


def test_version_is_told():
    result = CliRunner().invoke(main.cli, ["--version"])
    assert (result.exit_code, result.output.split()[-1]) == (0, __version__)


def test_unknown_command_is_a_bad_request():
    result = CliRunner().invoke(main.cli, ["dance"])
    assert result.exit_code == 2
    assert "dance" in result.stderr


def test_command_that_does_all_exits_with_0(run_as_command):
    assert run_as_command(lambda: None).exit_code == 0


def test_command_with_failed_inputs_exits_with_1(run_as_command):
    assert run_as_command(lambda: 1).exit_code == 1


@pytest.mark.parametrize("error", [RequestError("no such file: 'a.smi'"), MoleculeError("no such file: 'a.smi'")])
def test_error_is_one_line_on_standard_error_and_exits_with_2(run_as_command, error):
    def job():
        raise error

    result = run_as_command(job)
    assert result.exit_code == 2
    assert result.stderr == "Error: no such file: 'a.smi'\n"
    assert result.stdout == ""


def test_programming_error_is_not_hidden(run_as_command):
    def job():
        raise KeyError("a bug")

    assert isinstance(run_as_command(job).exception, KeyError)


def test_interrupt_exits_as_shells_expect(run_as_command):
    def job():
        raise KeyboardInterrupt

    assert run_as_command(job).exit_code == 130


@pytest.fixture
def default_signals():
    """Undo what nohup does, under which the tests may run."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.usefixtures("default_signals")
def test_termination_exits_as_shells_expect(run_as_command, number, exit_code):
    def job():
        with terminated_by_signals():
            os.kill(os.getpid(), number)
            signal.pause()

    result = run_as_command(job)
    assert result.exit_code == exit_code
    assert number.name in result.stderr
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.usefixtures("default_signals")
def test_termination_that_went_unheeded_is_raised_again():
    with terminated_by_signals() as check:
        check()
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        with pytest.raises(Terminated):
            check()


def test_missing_dependency_is_named(monkeypatch):
    monkeypatch.setitem(main.COMMANDS, "job", ("molebm_needs_this:job", "A job."))
    result = CliRunner().invoke(main.cli, ["job"])
    assert result.exit_code == 2
    assert "molebm_needs_this" in result.stderr


def test_asking_for_a_gpu_that_is_not_there_says_what_to_do(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RequestError, match="--device cpu"):
        resolve_device("cuda")
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")


def test_auto_takes_the_gpu_that_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == resolve_device("cuda") == torch.device("cuda")
    assert resolve_device("cpu") == torch.device("cpu")


def test_threads_never_outnumber_the_cores():
    assert resolve_threads(1) == 1
    assert resolve_threads(10**6) == resolve_threads(None) >= 1


def test_output_in_the_way_is_overwritten_only_by_force(tmp_path: Path):
    path = tmp_path / "out.sdf"
    check_output(path, force=False)
    path.write_text("precious")
    with pytest.raises(RequestError, match="--force"):
        check_output(path, force=False)
    check_output(path, force=True)


def test_output_without_a_folder_is_refused(tmp_path: Path):
    with pytest.raises(RequestError, match="create it first"):
        check_output(tmp_path / "missing" / "out.sdf", force=True)
    with pytest.raises(RequestError, match="name a file"):
        check_output(tmp_path, force=True)


def test_progress_is_silent_where_nobody_watches(capsys):
    with progress("Working", total=2, unit="molecule") as advance:
        advance(1)
        advance(1)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_total_that_has_to_be_counted_is_shown_when_it_is_known(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    counted = threading.Event()
    with progress("Working", total=lambda: counted.set() or 4, completed=2, unit="molecule") as advance:
        assert counted.wait(60)
        advance(2)
    assert "4/" in capsys.readouterr().err


@pytest.mark.parametrize(("quiet", "shown"), [(False, True), (True, False)])
def test_progress_goes_to_the_terminal_on_standard_error(capsys, monkeypatch, quiet, shown):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress("Working", total=4, unit="molecule", quiet=quiet) as advance:
        advance(4)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert ("4/4" in captured.err) is shown
