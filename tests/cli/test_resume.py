"""A run that is interrupted at any moment is gone on with, and ends in the bytes of one that was not."""

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from rdkit import Chem

from molebm.chem.reading import Record
from molebm.cli import main, part_file, resumable_output
from molebm.cli.journal import read_journal
from molebm.conformers import computing
from molebm.conformers.outcomes import Ensemble, failure

REPOSITORY = Path(__file__).resolve().parents[2]
N_RECORDS = 60
MOMENTS = 8
OUTPUTS = ["out.sdf", "out.sdf.gz", "out.pdb"]


def made_up(records, backend, settings, parametrise):
    """Take the time of nothing: one to three conformers by the index and the seed, and now and then a failure."""
    outcomes = []
    for record in records:
        if record.mol is None or record.index % 7 == 3:
            outcomes.append([failure(record.name, record.source, record.error or "made up; leave it")])
            continue
        isomers = 2 if record.index % 5 == 4 else 1
        noise = np.random.default_rng((settings.seed, record.index))
        outcomes.append([conformers(f"{record.name}_{n}", record, noise) for n in range(isomers)])
    return outcomes


def conformers(name: str, record: Record, noise: np.random.Generator) -> Ensemble:
    mol = Chem.AddHs(record.mol)
    for energy in noise.normal(size=noise.integers(1, 4)):
        conformer = Chem.Conformer(mol.GetNumAtoms())
        conformer.SetPositions(noise.normal(size=(mol.GetNumAtoms(), 3)))
        conformer.SetDoubleProp("energy_kcal_mol", energy)
        conformer.SetIntProp("input_record", record.index)
        mol.AddConformer(conformer, assignId=True)
    return Ensemble(name, "", mol, np.zeros(1), np.ones(1))


@pytest.fixture(autouse=True)
def nothing_is_computed(monkeypatch):
    monkeypatch.setattr(computing, "generate_batch", made_up)
    monkeypatch.setattr(part_file, "MEMBER_SIZE", 2000)


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    lines = [f"C{'C' * (n % 4)}{'(' if n % 11 == 5 else ''}\n" for n in range(N_RECORDS)]
    (folder / "in.smi").write_text("".join(lines))
    return folder


def run(folder: Path, output: str = "out.sdf", *options: str) -> Result:
    arguments = [folder / "in.smi", "-o", folder / output, "--energy", "mmff94", "--device", "cpu", "--threads", "1"]
    return CliRunner().invoke(main.cli, ["generate", *map(str, arguments), *options])


def interrupted(
    monkeypatch, folder: Path, after: int, error: BaseException | type[BaseException] = KeyboardInterrupt
) -> Result:
    """Run until so many records are written."""
    add = resumable_output.ResumableOutput.add

    def add_or_raise(files, index, written):
        if index == after:
            raise error
        add(files, index, written)

    with monkeypatch.context() as patch:
        patch.setattr(resumable_output.ResumableOutput, "add", add_or_raise)
        return run(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("period", [0.0, 0.002, 1e9])
@pytest.mark.parametrize("output", OUTPUTS)
def test_run_that_is_killed_at_any_moment_ends_in_the_same_bytes(folder, tmp_path, monkeypatch, output, period):
    """What a process that is killed leaves is what is in its files at that moment, its buffers lost."""
    choice = random.Random(f"{output} {period}")
    moments = {*choice.sample(range(2 * N_RECORDS), MOMENTS), *range(2 * N_RECORDS + 1, 2 * N_RECORDS + 8)}
    n_seen = 0

    def seen(function):
        def watched(*arguments, **named):
            nonlocal n_seen
            n_seen += 1
            if n_seen in moments:
                shutil.copytree(folder, tmp_path / f"killed {n_seen}")
            return function(*arguments, **named)

        return watched

    with monkeypatch.context() as patch:
        patch.setattr(resumable_output, "PERIOD", period)
        patch.setattr(part_file.PartFile, "write", seen(part_file.PartFile.write))
        patch.setattr(os, "replace", seen(os.replace))
        patch.setattr(Path, "unlink", seen(Path.unlink))
        assert run(folder, output).exit_code == 1
    killed = [path for path in tmp_path.iterdir() if path.name.startswith("killed")]
    assert len(killed) > MOMENTS
    for copy in killed:
        result = run(copy, output, "--resume")
        assert result.exit_code == 1, result.output
        assert contents(copy) == contents(folder)


def test_compressed_output_is_that_of_the_plain_one(folder):
    for output in OUTPUTS[:2]:
        run(folder, output, "--force")
    assert gzip.decompress((folder / "out.sdf.gz").read_bytes()) == (folder / "out.sdf").read_bytes()


def test_compressed_output_of_nothing_is_sound(folder):
    (folder / "in.smi").write_text("(\n")
    assert run(folder, "out.sdf.gz").exit_code == 1
    assert gzip.decompress((folder / "out.sdf.gz").read_bytes()) == b""


def test_records_are_all_accounted_for(folder):
    run(folder)
    names = {line for line in (folder / "out.sdf").read_text().splitlines() if line.startswith("mol-")}
    failed = (folder / "out.failures.csv").read_text().splitlines()[1:]
    done = {name.partition("_")[0] for name in names}
    lost = {row.split(",")[1] for row in failed}
    assert sorted(done | lost) == sorted(f"mol-{n + 1}" for n in range(N_RECORDS))
    assert not done & lost


def test_interruption_says_how_to_go_on_and_keeps_what_is_done(folder, monkeypatch):
    result = interrupted(monkeypatch, folder, 20)
    assert result.exit_code == 130
    assert "--resume" in result.stderr
    assert not (folder / "out.sdf").exists()
    assert read_journal(folder / ".out.sdf.journal").next_record == 20
    again = run(folder)
    assert (again.exit_code, "--resume" in again.stderr, "--force" in again.stderr) == (2, True, True)
    assert run(folder, "out.sdf", "--resume").exit_code == 1
    assert (folder / "out.sdf").exists()


def test_records_that_are_done_are_not_computed_again(folder, monkeypatch):
    interrupted(monkeypatch, folder, 20)
    computed = []

    def watched(records, *arguments):
        computed.extend(record.index for record in records)
        return made_up(records, *arguments)

    monkeypatch.setattr(computing, "generate_batch", watched)
    run(folder, "out.sdf", "--resume")
    assert computed == list(range(20, N_RECORDS))


def test_interruption_before_anything_is_done_leaves_nothing(folder, monkeypatch):
    before = contents(folder)
    assert interrupted(monkeypatch, folder, 0).exit_code == 130
    assert contents(folder) == before


def test_force_discards_the_run_that_was_interrupted(folder, tmp_path, monkeypatch):
    whole = shutil.copytree(folder, tmp_path / "whole")
    run(whole)
    interrupted(monkeypatch, folder, 20)
    assert run(folder, "out.sdf", "--force").exit_code == 1
    assert contents(folder) == contents(whole)


def test_resume_without_a_run_to_go_on_with_begins_one_and_then_is_done(folder):
    first = run(folder, "out.sdf", "--resume")
    before = contents(folder)
    second = run(folder, "out.sdf", "--resume")
    assert first.exit_code == second.exit_code == 1  # some failed, and still have
    assert "is complete" in second.stderr
    assert contents(folder) == before
    (folder / "in.smi").write_text("C\n")
    codes = [run(folder, "good.sdf", "--resume").exit_code for _ in range(2)]
    assert codes == [0, 0]


def test_output_that_was_taken_away_is_made_again_whatever_failures_are_left(folder):
    """As a workflow does that takes away what it is not sure of, and does not know of the failures."""
    run(folder, "out.sdf", "--resume")
    before = contents(folder)
    (folder / "out.sdf").unlink()
    assert run(folder, "out.sdf", "--resume").exit_code == 1
    assert contents(folder) == before


@pytest.mark.parametrize("other", [["--seed", "1"], ["-n", "3"], ["--stereo", "enumerate"], ["--shard", "1/2"]])
def test_other_settings_are_refused_and_named(folder, monkeypatch, other):
    interrupted(monkeypatch, folder, 20)
    before = contents(folder)
    result = run(folder, "out.sdf", "--resume", *other)
    assert result.exit_code == 2
    assert "begun with" in result.stderr and "--force" in result.stderr
    assert contents(folder) == before


def test_another_input_is_refused(folder, monkeypatch):
    interrupted(monkeypatch, folder, 20)
    (folder / "in.smi").write_text((folder / "in.smi").read_text() + "C\n")
    result = run(folder, "out.sdf", "--resume")
    assert result.exit_code == 2
    assert "input in.smi" in result.stderr


def test_other_version_is_refused(folder, monkeypatch):
    interrupted(monkeypatch, folder, 20)
    journal = folder / ".out.sdf.journal"
    fields = json.loads(journal.read_text())
    fields["request"]["rdkit"] = "1.0"
    journal.write_text(json.dumps(fields))
    assert "rdkit 1.0 and not" in run(folder, "out.sdf", "--resume").stderr


@pytest.mark.parametrize("damage", ["", "[]", '{"format": 0}', '{"format": 1, "pages": 3}'])
def test_damaged_journal_is_refused(folder, monkeypatch, damage):
    interrupted(monkeypatch, folder, 20)
    (folder / ".out.sdf.journal").write_text(damage)
    result = run(folder, "out.sdf", "--resume")
    assert result.exit_code == 2
    assert "--force" in result.stderr


def test_output_that_lost_its_end_is_not_gone_on_with(folder, monkeypatch):
    interrupted(monkeypatch, folder, 20)
    os.truncate(folder / ".out.sdf.part", 10)
    assert "lost its end" in run(folder, "out.sdf", "--resume").stderr


def test_old_output_stays_until_the_new_one_is_complete(folder, monkeypatch):
    (folder / "out.sdf").write_text("old")
    add = resumable_output.ResumableOutput.add

    def add_or_raise(files, index, written):
        if index == 20:
            raise KeyboardInterrupt
        add(files, index, written)

    with monkeypatch.context() as patch:
        patch.setattr(resumable_output.ResumableOutput, "add", add_or_raise)
        run(folder, "out.sdf", "--force")
    assert (folder / "out.sdf").read_text() == "old"
    assert run(folder, "out.sdf", "--resume").exit_code == 1
    assert (folder / "out.sdf").read_text().startswith("mol-1_0\n")


def test_output_that_came_up_in_the_meantime_is_not_overwritten(folder, monkeypatch):
    interrupted(monkeypatch, folder, 20)
    (folder / "out.sdf").write_text("precious")
    assert "move it away" in run(folder, "out.sdf", "--resume").stderr
    assert (folder / "out.sdf").read_text() == "precious"


def test_resume_and_force_contradict_each_other(folder):
    result = run(folder, "out.sdf", "--resume", "--force")
    assert (result.exit_code, "choose one" in result.stderr) == (2, True)


@pytest.mark.skipif(sys.platform == "win32", reason="files are not locked there")
def test_two_runs_do_not_write_to_one_output(folder):
    with (folder / ".out.sdf.part").open("w") as other:
        import fcntl

        fcntl.flock(other, fcntl.LOCK_EX)
        result = run(folder, "out.sdf", "--resume")
    assert result.exit_code == 2
    assert "another run" in result.stderr


def test_full_disk_is_told_and_what_is_done_is_kept(folder, monkeypatch):
    result = interrupted(monkeypatch, folder, 20, OSError(28, "No space left on device"))
    assert result.exit_code == 2
    assert "No space left" in result.stderr and "--resume" in result.stderr
    assert run(folder, "out.sdf", "--resume").exit_code == 1


def test_shards_are_the_parts_of_the_whole(folder):
    run(folder)
    whole = blocks(folder / "out.sdf")
    parts = {}
    for number in (1, 2, 3):
        run(folder, f"part{number}.sdf", "--shard", f"{number}/3")
        found = blocks(folder / f"part{number}.sdf")
        assert all((int(name.split("-")[1].split("_")[0]) - 1) % 3 == number - 1 for name in found)
        parts |= found
    assert parts == whole


def test_shard_without_records_is_an_empty_output(folder):
    result = run(folder, "out.sdf", "--shard", f"{N_RECORDS + 1}/{N_RECORDS + 1}")
    assert (result.exit_code, (folder / "out.sdf").read_text()) == (0, "")


def blocks(path: Path) -> dict[str, str]:
    """Text of each ensemble by name."""
    found: dict[str, str] = {}
    for record in path.read_text().split("$$$$\n")[:-1]:
        name = record.partition("\n")[0]
        found[name] = found.get(name, "") + record
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_processes_that_are_terminated_and_killed_end_in_the_same_bytes(tmp_path):
    """The real thing: a process, real signals, real conformers."""
    (tmp_path / "in.smi").write_text("".join(f"C{'C' * (n % 3)}O m{n}\n" for n in range(14)) + "C(\n")

    def start(output: str, *options: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "molebm.cli.main", "generate", tmp_path / "in.smi", "-o", tmp_path / output]
        fixed = ["--energy", "mmff94", "--device", "cpu", "--threads", "2", "-n", "2", "--quiet"]
        return subprocess.Popen([*command, *fixed, *options], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)

    def begun(size: int) -> None:
        part = tmp_path / ".out.sdf.gz.part"
        journal = tmp_path / ".out.sdf.gz.journal"
        while process.poll() is None and not (part.exists() and journal.exists() and journal.stat().st_size > size):
            time.sleep(0.01)

    with start("whole.sdf.gz") as process:
        process.communicate()
        assert process.returncode == 1
    choice = random.Random(1)
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
        with start("out.sdf.gz", "--resume") as process:
            begun(0)
            time.sleep(choice.random())
            process.send_signal(number)
            process.communicate()
            assert process.returncode in {-number, 128 + signal.SIGTERM, 1}  # before it heeds signals, or done already
    with start("out.sdf.gz", "--resume") as process:
        _, told = process.communicate()
        assert process.returncode == 1, told
    assert (tmp_path / "out.sdf.gz").read_bytes() == (tmp_path / "whole.sdf.gz").read_bytes()
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
