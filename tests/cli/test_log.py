"""With --json a program can follow a run from its first line to its last."""

import json
import sys
import warnings
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner, Result

from molebm.cli import main
from molebm.cli.log import count, tell, tell_failure
from molebm.cli.progress import progress
from molebm.errors import RequestError


def followed(monkeypatch, body, *arguments: str) -> tuple[Result, list[dict]]:
    """Run a function as a command with --json, and read what it tells."""
    module = ModuleType("molebm_test_command")
    module.job = click.command("job")(body)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(main.COMMANDS, "job", (f"{module.__name__}:job", "A job."))
    result = CliRunner().invoke(main.cli, ["job", *arguments])
    return result, [json.loads(line) for line in result.stderr.splitlines() if arguments]


def test_a_run_begins_advances_fails_in_part_and_ends(monkeypatch):
    def job():
        with progress("working", total=4, completed=1, unit="molecule") as advance:
            advance(2)
            tell_failure("salt", "[Na+].[Cl-]", "two fragments", "keep one")
            advance(1)
        count(molecules=3, failed=1)
        tell("3 of 4 done", quiet=True)
        return 1

    result, events = followed(monkeypatch, job, "--json")
    assert result.exit_code == 1
    assert [one["event"] for one in events] == ["start", "progress", "failure", "progress", "message", "done"]
    assert events[0]["command"] == "job"
    assert [events[1][key] for key in ("done", "total", "unit")] == [1, 4, "molecule"]
    assert {"name": "salt", "input": "[Na+].[Cl-]", "reason": "two fragments", "cure": "keep one"}.items() <= events[
        2
    ].items()
    assert (events[3]["done"], events[3]["remaining"]) == (4, 0)
    assert events[3]["rate"] > 0
    assert (events[-1]["exit_code"], events[-1]["counts"]) == (1, {"molecules": 3, "failed": 1})
    assert [one["seconds"] for one in events] == sorted(one["seconds"] for one in events)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [(RequestError("no such file"), 2, "no such file"), (KeyboardInterrupt(), 130, "Interrupted.")],
)
def test_an_error_is_told_before_the_end(monkeypatch, error, code, text):
    def job():
        raise error

    result, events = followed(monkeypatch, job, "--json")
    assert result.exit_code == code
    assert [(one["event"], one.get("text"), one.get("exit_code")) for one in events[1:]] == [
        ("error", text, None),
        ("done", None, code),
    ]


def test_a_warning_is_an_event_and_not_a_line_between(monkeypatch):
    def job():
        warnings.simplefilter("always")
        warnings.warn("mind", UserWarning, stacklevel=1)

    _, events = followed(monkeypatch, job, "--json")
    assert [(one["event"], one.get("text")) for one in events] == [("start", None), ("warning", "mind"), ("done", None)]


def test_what_json_lacks_is_told_in_what_it_has(monkeypatch):
    def job():
        tell("odd", figures={"loss": float("nan")}, path=Path("a"), pairs=((1, 2.5),), yes=True)

    _, events = followed(monkeypatch, job, "--json")
    told = {key: events[1][key] for key in ("figures", "path", "pairs", "yes")}
    assert told == {"figures": {"loss": None}, "path": "a", "pairs": [[1, 2.5]], "yes": True}


def test_a_mistake_in_the_program_is_told_and_not_hidden(monkeypatch):
    def job():
        raise KeyError("a bug")

    result, events = followed(monkeypatch, job, "--json")
    assert isinstance(result.exception, KeyError)
    assert [one["event"] for one in events] == ["start", "crash"]


def test_without_json_only_people_are_told(monkeypatch):
    def job():
        tell("done")
        tell("more than one wants to know", quiet=True)
        tell_failure("a", "b", "c", "d")

    assert followed(monkeypatch, job)[0].stderr == "done\n"


def test_failures_of_generate_are_followed_molecule_by_molecule(tmp_path: Path):
    (tmp_path / "in.smi").write_text("CCO ethanol\nC1CC unclosed\n")
    given = [str(tmp_path / "in.smi"), "-o", str(tmp_path / "out.sdf")]
    fixed = ["--energy", "mmff94", "--device", "cpu", "--threads", "1", "-n", "2", "--json"]
    result = CliRunner().invoke(main.cli, ["generate", *given, *fixed])
    events = [json.loads(line) for line in result.stderr.splitlines()]
    assert [one["name"] for one in events if one["event"] == "failure"] == ["unclosed"]
    assert events[0]["arguments"]["n_conformers"] == 2
    assert events[-1]["counts"]["failed"] == 1 and events[-1]["exit_code"] == result.exit_code == 1
