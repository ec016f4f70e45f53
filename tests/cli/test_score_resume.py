"""A run of `molebm score` that is interrupted is gone on with, and ends in the bytes of one that was not."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from molebm.chem.reading import Record
from molebm.cli import resumable_output
from molebm.cli.main import cli
from molebm.cli.score_run import Scoring, _scores_from
from molebm.plausibility.scores import Score
from tests.cli.test_score import record
from tests.plausibility.conftest import embedded, five_valent, stretched

TABLES = ("scores.csv", "scores.failures.csv", "atoms.csv", "terms.csv")
CUT_AT = 4


@pytest.fixture(autouse=True)
def _one_thread():
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def structures(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("given") / "in.sdf"
    good = [record(f"m{n}", embedded("C" * n + "O")) for n in (1, 2, 3)]
    bad = [record("long", stretched(embedded("CCO"), 0, 1, 0.4)), record("five", five_valent())]
    path.write_text("".join([*good[:2], "broken\n\n\n  9\n$$$$\n", *bad, good[2]]))
    return path


def run(structures: Path, folder: Path, *options: str) -> Result:
    folder.mkdir(exist_ok=True)
    tables = ["-o", folder / "scores.csv", "--atoms", folder / "atoms.csv", "--terms", folder / "terms.csv"]
    arguments = ["score", structures, *tables, "--report", folder / "page.html", "--no-strain", "--threads", "1"]
    return CliRunner().invoke(cli, [*map(str, arguments), *options])


def interrupted(monkeypatch, structures: Path, folder: Path, *options: str) -> Result:
    add = resumable_output.ResumableOutput.add

    def add_or_raise(files, index, written):
        if index == CUT_AT:
            raise KeyboardInterrupt
        add(files, index, written)

    with monkeypatch.context() as patch:
        patch.setattr(resumable_output.ResumableOutput, "add", add_or_raise)
        return run(structures, folder, *options)


@pytest.mark.parametrize("options", [(), ("--fdr", "0.2")])
def test_interrupted_run_ends_in_the_same_bytes(structures, tmp_path, monkeypatch, options):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(structures, whole, *options).exit_code == 1
    result = interrupted(monkeypatch, structures, cut, *options)
    assert (result.exit_code, "--resume" in result.stderr) == (130, True)
    assert not [path for path in cut.iterdir() if not path.name.startswith(".")]
    assert run(structures, cut, "--resume", *options).exit_code == 1
    for name in TABLES:
        assert (cut / name).read_bytes() == (whole / name).read_bytes(), name
    assert sorted(path.name for path in cut.iterdir()) == sorted(path.name for path in whole.iterdir())
    assert (cut / "page.html").read_text().count("<svg") == (whole / "page.html").read_text().count("<svg")


def test_complete_run_is_done_and_what_is_missing_beside_it_is_made(structures, tmp_path):
    run(structures, tmp_path)
    page = (tmp_path / "page.html").read_bytes()
    (tmp_path / "page.html").unlink()
    before = (tmp_path / "scores.csv").stat().st_mtime_ns
    result = run(structures, tmp_path, "--resume")
    assert (result.exit_code, "is complete" in result.stderr) == (1, True)
    assert (tmp_path / "scores.csv").stat().st_mtime_ns == before
    assert len((tmp_path / "page.html").read_bytes()) == pytest.approx(len(page), rel=0.01)


def test_other_settings_are_refused_and_named(structures, tmp_path, monkeypatch):
    interrupted(monkeypatch, structures, tmp_path)
    result = run(structures, tmp_path, "--resume", "--alpha", "0.1")
    assert (result.exit_code, "alpha 0.05 and not 0.1" in result.stderr) == (2, True)
    assert "--resume" in run(structures, tmp_path).stderr


def test_structures_are_scored_beside_the_same_others_as_in_one_run():
    """The last digit may depend on the company, and so a window is scored again from its beginning."""
    companies = []

    def score(records):
        while window := list(islice(records, 4)):
            companies.append([one.index for one in window])
            yield from (Score(one.index, "", "", "ok") for one in window)

    def records():
        return (Record(n, "", "", None, "") for n in range(11))

    found = [one.record for one in _scores_from(6, Scoring(records, score, 4, {}))]
    assert found == [6, 7, 8, 9, 10]
    assert companies == [[4, 5, 6, 7], [8, 9, 10]]
