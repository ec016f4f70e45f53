"""`molebm merge`: the shards of a run are the run, or the merge is refused and says why."""

import gzip
import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from molebm.cli import main, resumable_output
from molebm.conformers import computing
from tests.cli.test_resume import made_up

N_RECORDS = 23
N_SHARDS = 4


@pytest.fixture(autouse=True)
def nothing_is_computed(monkeypatch):
    monkeypatch.setattr(computing, "generate_batch", made_up)


@pytest.fixture
def folder(tmp_path) -> Path:
    """An input, the run of the whole, and its shards."""
    lines = [f"C{'C' * (n % 4)}{'(' if n % 11 == 5 else ''} same name\n" for n in range(N_RECORDS)]
    (tmp_path / "in.smi").write_text("".join(lines))
    generate(tmp_path, "whole.sdf")
    generate(tmp_path, "whole.sdf.gz", "--force")
    for number in range(1, N_SHARDS + 1):
        generate(tmp_path, shard(number), "--shard", f"{number}/{N_SHARDS}")
    return tmp_path


def shard(number: int) -> str:
    return f"part-{number}.sdf.gz"


def generate(folder: Path, output: str, *options: str) -> None:
    fixed = ["--energy", "mmff94", "--device", "cpu", "--threads", "1", "--quiet"]
    arguments = ["generate", folder / "in.smi", "-o", folder / output, *fixed, *options]
    assert CliRunner().invoke(main.cli, list(map(str, arguments))).exit_code in {0, 1}


def merge(folder: Path, *arguments: str, shards: list[str] | None = None) -> Result:
    named = shards or [shard(number) for number in range(1, N_SHARDS + 1)]
    paths = [str(folder / argument) if argument.endswith((".gz", ".sdf", ".csv", ".smi", ".parquet")) else argument
             for argument in (*named, *arguments)]  # fmt: skip
    return CliRunner().invoke(main.cli, ["merge", *paths])


def write_scores(folder: Path, number: int) -> None:
    """Score shards by the number of the record, without a scorer."""
    texts = gzip.decompress((folder / shard(number)).read_bytes()).decode().split("$$$$\n")[:-1]
    names = [text.partition("\n")[0] for text in texts]
    rows = [f"{n},{name},ok,1.5,{n}.25,0.5,False,," for n, name in enumerate(names)]
    head = "record,name,status,energy_kcal_mol,score,p_value,flagged,reasons,n_calibration"
    (folder / f"part-{number}.scores.csv").write_text("\n".join([head, *rows]) + "\n")


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("ending", [".sdf", ".sdf.gz"])
def test_merged_shards_have_the_bytes_of_the_whole_run(folder, ending):
    result = merge(folder, "-o", f"merged{ending}", "--input", "in.smi", "--shards", str(N_SHARDS))
    assert result.exit_code == 1, result.output  # some inputs failed
    assert (folder / f"merged{ending}").read_bytes() == (folder / f"whole{ending}").read_bytes()
    assert (folder / "merged.failures.csv").read_bytes() == (folder / "whole.failures.csv").read_bytes()


def test_order_of_the_shards_does_not_matter(folder):
    merge(folder, "-o", "merged.sdf", shards=[shard(number) for number in (3, 1, 4, 2)])
    assert (folder / "merged.sdf").read_bytes() == (folder / "whole.sdf").read_bytes()


def test_table_holds_every_input_and_every_conformer(folder):
    merge(folder, "-o", "merged.sdf", "--table", "merged.csv", "--input", "in.smi")
    table = pd.read_csv(folder / "merged.csv")
    assert sorted(table.input_record.unique()) == list(range(N_RECORDS))
    assert table.input_record.is_monotonic_increasing
    conformers = table[table.status == "ok"]
    n_conformers = (folder / "whole.sdf").read_text().count("$$$$")
    assert conformers.record.tolist() == list(range(n_conformers))
    failed = pd.read_csv(folder / "whole.failures.csv")
    assert table[table.status != "ok"].input_record.tolist() == failed.record.tolist()


def test_scores_go_to_the_conformers_they_are_of(folder):
    pytest.importorskip("pyarrow")
    for number in range(1, N_SHARDS + 1):
        write_scores(folder, number)
    result = merge(folder, "-o", "merged.sdf", "--table", "merged.parquet", "--scores")
    assert result.exit_code == 1, result.output
    table = pd.read_parquet(folder / "merged.parquet")
    assert (table.scored_energy_kcal_mol[table.status == "ok"] == 1.5).all()
    for number in range(N_SHARDS):
        scores = table[(table.input_record % N_SHARDS == number) & (table.status == "ok")].score.tolist()
        assert scores == [n + 0.25 for n in range(len(scores))]
    assert not [name for name in left(folder) if name.startswith(".")]


def test_missing_shard_is_named(folder):
    before = left(folder)
    shards = [shard(number) for number in (1, 2, 4)]
    result = merge(folder, "-o", "merged.sdf", "--input", "in.smi", "--shards", "4", shards=shards)
    assert result.exit_code == 2
    assert "6 inputs are missing, records 2, 6, 10" in result.stderr
    assert "shards 3/4" in result.stderr
    assert left(folder) == before


def test_end_that_is_missing_everywhere_is_found_by_the_input(folder):
    (folder / "in.smi").write_text((folder / "in.smi").read_text() + "C\nC\n")
    result = merge(folder, "-o", "merged.sdf", "--input", "in.smi")
    assert (result.exit_code, "2 inputs are missing, records 23, 24;" in result.stderr) == (2, True)


def test_input_that_was_shorter_is_found(folder):
    (folder / "in.smi").write_text("C\n" * (N_RECORDS - 1))
    assert "1 are beyond the 22" in merge(folder, "-o", "merged.sdf", "--input", "in.smi").stderr


def test_doubled_shard_is_named(folder):
    shutil.copy(folder / shard(2), folder / "copy.sdf.gz")
    shutil.copy(folder / "part-2.failures.csv", folder / "copy.failures.csv")
    result = merge(folder, "-o", "merged.sdf", shards=[shard(1), shard(2), shard(3), shard(4), "copy.sdf.gz"])
    assert result.exit_code == 2
    assert "6 inputs are doubled, records 1, 5" in result.stderr
    assert "copy.sdf.gz" in result.stderr and "part-2.sdf.gz" in result.stderr
    again = merge(folder, "-o", "merged.sdf", shards=[shard(1), shard(1)])
    assert (again.exit_code, "named more than once" in again.stderr) == (2, True)


def test_failures_that_were_lost_are_missed(folder):
    (folder / "part-2.failures.csv").unlink()
    assert "inputs are missing" in merge(folder, "-o", "merged.sdf").stderr


def test_shard_that_is_not_there_or_not_finished_is_named(folder):
    result = merge(folder, "-o", "merged.sdf", shards=[shard(1), "part-9.sdf.gz"])
    assert (result.exit_code, "part-9.sdf.gz" in result.stderr) == (2, True)
    (folder / f".{shard(2)}.journal").write_text("{}")
    result = merge(folder, "-o", "merged.sdf")
    assert (result.exit_code, f"{shard(2)}' is not finished" in result.stderr) == (2, True)


def test_shard_that_breaks_off_is_named(folder):
    shard_text = (folder / shard(2)).read_bytes()
    (folder / shard(2)).write_bytes(shard_text[: len(shard_text) // 2])
    result = merge(folder, "-o", "merged.sdf")
    assert (result.exit_code, shard(2) in result.stderr) == (2, True)


def test_scores_of_another_shard_are_refused(folder):
    for number in range(1, N_SHARDS + 1):
        write_scores(folder, number)
    shutil.copy(folder / "part-1.scores.csv", folder / "part-2.scores.csv")
    lines = (folder / "part-3.scores.csv").read_text().splitlines()
    (folder / "part-3.scores.csv").write_text("\n".join(lines[:-1]) + "\n")
    result = merge(folder, "-o", "merged.sdf", "--scores")
    assert (result.exit_code, "score the shard again" in result.stderr) == (2, True)


def test_interrupted_merge_is_gone_on_with_to_the_same_bytes(folder, monkeypatch):
    add = resumable_output.ResumableOutput.add

    def add_or_raise(files, index, written):
        if index == 12:
            raise KeyboardInterrupt
        add(files, index, written)

    with monkeypatch.context() as patch:
        patch.setattr(resumable_output.ResumableOutput, "add", add_or_raise)
        assert merge(folder, "-o", "merged.sdf", "--table", "merged.csv").exit_code == 130
    merge(folder, "-o", "merged.sdf", "--table", "merged.csv", "--resume")
    merge(folder, "-o", "whole2.sdf", "--table", "whole2.csv")
    assert (folder / "merged.sdf").read_bytes() == (folder / "whole.sdf").read_bytes()
    assert (folder / "merged.csv").read_bytes() == (folder / "whole2.csv").read_bytes()
