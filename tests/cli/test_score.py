"""`molebm score` as it is called from a shell."""

from pathlib import Path

import mdtraj
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner, Result
from rdkit import Chem
from scipy.stats import false_discovery_control

from molebm.chem.writing import text_of
from molebm.cli.main import cli
from molebm.plausibility import load_calibration
from molebm.plausibility.scores import COLUMNS
from tests.plausibility.conftest import embedded, five_valent, mirrored, stretched

CUT_SHORT = "broken\n\n\n  9  9  0  0  0  0  0  0  0  0999 V2000\n$$$$\n"
ALANINE = "C[C@H](N)C(=O)O"
EIGHT_DIGITS = 1e-7  # relative, as tables are written


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["score", *map(str, arguments)], prog_name="molebm")


def record(name: str, mol: Chem.Mol, **fields: str) -> str:
    mol = Chem.Mol(mol)
    mol.SetProp("_Name", name)
    data = "".join(f">  <{key}>\n{text}\n\n" for key, text in fields.items())
    return Chem.MolToMolBlock(mol, kekulize=False) + data + "$$$$\n"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.sdf"
    path.write_text(record("alanine", embedded(ALANINE)) + record("phenol", embedded("c1ccccc1O")))
    return path


@pytest.fixture
def mixed(tmp_path: Path, good: Path) -> Path:
    path = tmp_path / "mixed.sdf"
    selenide = record("selenide", embedded("C[Se]C", relaxed=False))
    path.write_text(good.read_text() + CUT_SHORT + selenide + record("last", embedded("CCO")))
    return path


@pytest.fixture
def damaged(tmp_path: Path, good: Path) -> Path:
    """Two good ones, one with a long bond, one with a bond too many."""
    path = tmp_path / "damaged.sdf"
    long = record("=long, bond", stretched(embedded(ALANINE), 1, 3, 0.3))
    path.write_text(good.read_text() + long + record("five", five_valent()))
    return path


@pytest.fixture(autouse=True)
def _one_thread():
    yield
    torch.set_num_threads(1)


def test_all_scored_exits_with_0_and_leaves_no_list_of_failures(good: Path, tmp_path: Path):
    output = tmp_path / "scores.csv"
    result = run(good, "-o", output)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(output)
    assert list(table.columns) == list(COLUMNS)
    assert table.name.tolist() == ["alanine", "phenol"]
    assert (table.status == "ok").all()
    assert not table.flagged.any()
    np.testing.assert_allclose(table.smallest_p_value, 1 / (table.n_calibration + 1), rtol=EIGHT_DIGITS)
    assert "2 structures scored" in result.stderr
    assert "0 of them flagged" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.sdf", "scores.csv"]


def test_every_record_has_a_row_and_failures_are_listed_with_a_cure(mixed: Path, tmp_path: Path):
    output = tmp_path / "scores.csv"
    result = run(mixed, "-o", output)
    assert result.exit_code == 1
    assert "2 of 5 records failed" in result.stderr
    table = pd.read_csv(output)
    assert table.record.tolist() == [0, 1, 2, 3, 4]
    assert (table.status == "ok").tolist() == [True, True, False, False, True]
    assert table.score.notna().tolist() == table.flagged.notna().tolist() == [True, True, False, False, True]
    failures = pd.read_csv(tmp_path / "scores.failures.csv")
    assert list(failures.columns) == ["record", "name", "input", "reason", "cure"]
    assert failures.record.tolist() == [2, 3]
    assert failures.name.tolist() == ["broken", "selenide"]
    assert failures.notna().all(axis=None)


def test_earlier_list_of_failures_does_not_outlive_them(mixed: Path, good: Path, tmp_path: Path):
    output = tmp_path / "scores.csv"
    run(mixed, "-o", output, "--no-strain")
    assert run(good, "-o", output, "--no-strain", "--force").exit_code == 0
    assert not (tmp_path / "scores.failures.csv").exists()


def test_what_no_molecule_is_is_scored_and_flagged_and_no_failure(damaged: Path, tmp_path: Path):
    result = run(damaged, "-o", tmp_path / "scores.csv")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "scores.csv")
    assert table.flagged.tolist() == [False, False, True, True]
    assert table.graph_score.tolist() == [0, 0, 0, 1]
    assert "C0 has valence 5" in table.reasons[3]


def test_library_says_how_new_a_molecule_is_and_where(good: Path, tmp_path: Path):
    library = tmp_path / "library.smi"
    library.write_text("\n".join("C" * n + "O" for n in range(1, 41)))
    atoms = tmp_path / "atoms.csv"
    result = run(good, "-o", tmp_path / "scores.csv", "--library", library, "--atoms", atoms, "--alpha", 0.2)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "scores.csv")
    assert table.novelty_p_value.between(0, 1).all()
    of_atoms = pd.read_csv(atoms).groupby("record").novelty.sum()
    assert (of_atoms[table.record[table.reasons.str.contains("no molecule of the library", na=False)]] > 0).all()


@pytest.mark.parametrize("taken", ["scores.csv", "scores.failures.csv", "atoms.csv", "terms.csv", "page.html"])
def test_output_in_the_way_is_a_bad_request(good: Path, tmp_path: Path, taken: str):
    (tmp_path / taken).write_text("precious")
    beside = {"--atoms": "atoms.csv", "--terms": "terms.csv", "--report": "page.html"}
    named = [part for option, name in beside.items() for part in (option, tmp_path / name)]
    result = run(good, "-o", tmp_path / "scores.csv", *named)
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert (tmp_path / taken).read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.sdf"], "'missing.sdf'"),
        (["good.sdf", "--alpha", "2"], "alpha"),
        (["good.sdf", "--fdr", "0"], "false discoveries"),
        (["good.sdf", "--source", "elsewhere"], "no source 'elsewhere'; choose from crystal"),
        (["good.sdf", "--calibration", "missing.json"], "missing.json"),
        (["good.sdf", "--calibration", "good.sdf"], "cannot be read"),
        (["good.sdf", "--energy", "mmff94", "--model", "m.json"], "m.json"),
        (["good.sdf", "--model", "missing.json"], "missing"),
        (["good.sdf", "--atoms", "scores.csv"], "two outputs"),
        (["good.sdf", "--stride", "2"], "--topology"),
        (["good.sdf", "--select", "all"], "--topology"),
    ],
)
def test_bad_request_exits_with_2_and_leaves_nothing(
    good: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
):
    monkeypatch.chdir(good.parent)
    result = run(*arguments, "-o", "scores.csv")
    assert result.exit_code == 2, result.output
    assert told in result.stderr
    assert [path.name for path in good.parent.iterdir()] == ["good.sdf"]


def test_worst_atoms_and_terms_are_tabled(damaged: Path, tmp_path: Path):
    atoms, terms = tmp_path / "atoms.csv", tmp_path / "terms.tsv"
    assert run(damaged, "-o", tmp_path / "scores.csv", "--atoms", atoms, "--terms", terms).exit_code == 0
    per_atom = pd.read_csv(atoms)
    assert list(per_atom.columns) == ["record", "name", "atom", "element", "score", "novelty"]
    assert per_atom.groupby("record").size().tolist() == [13, 13, 13], "a bond too many leaves no atoms to score"
    assert (per_atom.score >= 0).all()
    long = per_atom[per_atom.record == 2]
    assert set(long.name) == {"=long, bond"}
    assert set(long.nlargest(2, "score").atom) == {1, 3}
    per_term = pd.read_csv(terms, sep="\t")
    assert list(per_term.columns) == [
        *("record", "name", "channel", "kind", "atoms", "score", "given", "expected", "words")
    ]
    worst = per_term[per_term.record == 2].iloc[0]
    assert (worst.channel, worst.kind, set(worst.atoms.split())) == ("geometry", "bond", {"1", "3"})
    assert worst.given - worst.expected == pytest.approx(0.3, abs=0.05)
    for _, of_record in per_term.groupby("record"):
        assert of_record.score.is_monotonic_decreasing
    assert per_term[per_term.record == 3][["channel", "atoms"]].values.tolist() == [["graph", "0"]]


def test_report_is_one_page_that_names_the_worst(damaged: Path, tmp_path: Path):
    page = tmp_path / "report.html"
    assert run(damaged, "-o", tmp_path / "scores.csv", "--report", page).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert text.lstrip().lower().startswith("<!doctype html>")
    assert "=long, bond" in text
    assert "C0 has valence 5" in text


def test_rate_of_false_discoveries_flags_as_benjamini_and_hochberg_do(damaged: Path, tmp_path: Path):
    output = tmp_path / "scores.tsv.gz"
    result = run(damaged, "-o", output, "--fdr", 0.1)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(output, sep="\t")
    expected = false_discovery_control(table.p_value, method="bh") <= 0.1
    assert table.flagged.tolist() == expected.tolist() == [False, False, True, True]
    assert "2 of them flagged" in result.stderr
    assert not list(tmp_path.glob(".*")), "the table without flags is gone"
    assert run(damaged, "-o", output, "--fdr", 1e-5, "--force").exit_code == 0
    table = pd.read_csv(output, sep="\t")
    assert table.flagged.tolist() == [False, False, False, True], "what is wrong whatever the odds stays flagged"


def test_strain_that_is_left_out_leaves_its_columns_empty(good: Path, tmp_path: Path):
    assert run(good, "-o", tmp_path / "scores.csv", "--no-strain").exit_code == 0
    table = pd.read_csv(tmp_path / "scores.csv")
    assert table[["strain_score", "strain_p_value"]].isna().all(axis=None)
    assert table.p_value.notna().all()


def test_energy_without_calibration_is_scored_without_p_values(damaged: Path, tmp_path: Path):
    for flags in ([], ["--fdr", 0.05, "--force"]):
        assert run(damaged, "-o", tmp_path / "scores.csv", "--energy", "mmff94", *flags).exit_code == 0
        table = pd.read_csv(tmp_path / "scores.csv")
        assert table.filter(like="p_value").isna().all(axis=None)
        assert table.score.notna().all()
        assert table.flagged.tolist() == [False, False, False, True]


def test_template_declares_the_stereo_that_coordinates_must_have(tmp_path: Path):
    source = tmp_path / "poses.sdf"
    alanine = embedded(ALANINE)
    source.write_text(record("as declared", alanine) + record("inverted", mirrored(alanine)))
    run(source, "-o", tmp_path / "scores.csv", "--template", "N[C@@H](C)C(=O)O")
    table = pd.read_csv(tmp_path / "scores.csv")
    assert table.flagged.tolist() == [False, True]
    assert table.stereo_score.tolist() == [0, 1]
    assert table.reasons[1].startswith("C1 is R, declared S")


def test_data_field_declares_the_stereo_of_its_record(tmp_path: Path):
    source = tmp_path / "poses.sdf"
    alanine = embedded(ALANINE)
    source.write_text(
        record("l", alanine, declared_smiles=ALANINE) + record("d", mirrored(alanine), declared_smiles=ALANINE)
    )
    run(source, "-o", tmp_path / "scores.csv")
    assert pd.read_csv(tmp_path / "scores.csv").flagged.tolist() == [False, True]


def test_smaller_alpha_flags_fewer(damaged: Path, tmp_path: Path):
    output, alpha = tmp_path / "scores.csv", 0.5 / (load_calibration().sources["crystal"].n + 1)
    run(damaged, "-o", output, "--alpha", alpha)
    assert pd.read_csv(output).flagged.tolist() == [False, False, False, True]


def test_frames_of_a_trajectory_are_held_against_dynamics(tmp_path: Path):
    mol = embedded("CCO")
    topology, trajectory, output = (tmp_path / name for name in ("ethanol.pdb", "run.dcd", "scores.csv"))
    Chem.MolToPDBFile(mol, str(topology))
    x = mol.GetConformer().GetPositions()
    pushed = np.stack([x, x, stretched(mol, 1, 2, 0.4).GetConformer().GetPositions(), x]) / 10  # nm
    frames = mdtraj.Trajectory(pushed, mdtraj.load_topology(str(topology)))
    frames.save_dcd(str(trajectory))
    arguments = (trajectory, "--topology", topology, "--template", "CCO", "--select", "all", "-o", output)
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(output)
    assert table.name.tolist() == [f"frame {number}" for number in range(4)]
    assert table.flagged.tolist() == [False, False, True, False]
    assert table.n_calibration.tolist() == [load_calibration().sources["md"].n] * 4
    run(*arguments, "--stride", 2, "--force")
    strided = pd.read_csv(output)
    assert strided.name.tolist() == ["frame 0", "frame 2"]
    np.testing.assert_allclose(strided.score, table.score[::2], rtol=0.01, atol=0.02)


def test_same_input_gives_the_same_bytes(mixed: Path, tmp_path: Path):
    for name in ("a", "b"):
        run(mixed, "-o", tmp_path / f"{name}.csv", "--report", tmp_path / f"{name}.html", "--seed", 5)
    for kind in ("csv", "html"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


@pytest.mark.parametrize("options", [("--diagnose",), ("--fdr", 0.5)])
def test_tables_in_parquet_say_what_those_in_csv_do(mixed: Path, tmp_path: Path, options: tuple):
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
    for kind in ("csv", "parquet"):
        (tmp_path / kind).mkdir()
        files = ("-o", tmp_path / kind / f"scores.{kind}", "--atoms", tmp_path / kind / f"atoms.{kind}")
        assert run(mixed, "--no-strain", *files, *options).exit_code == 1
    for name in ("scores", "atoms"):
        theirs = pd.read_csv(tmp_path / "csv" / f"{name}.csv", dtype=str, keep_default_na=False)
        ours = parquet.read_table(tmp_path / "parquet" / f"{name}.parquet")
        assert ours.column_names == list(theirs.columns)
        for column in theirs.columns:
            assert [text_of(value) for value in ours[column].to_pylist()] == theirs[column].tolist()
    scores = pd.read_parquet(tmp_path / "parquet" / "scores.parquet")
    assert scores.record.dtype == "int64"
    assert scores.flagged[scores.status == "ok"].map(type).eq(bool).all()
    assert not list(tmp_path.rglob(".*"))
    assert run(mixed, "-o", tmp_path / "parquet" / "scores.parquet").exit_code == 2


def test_the_kind_of_defect_is_named_where_it_is_asked_for(damaged: Path, tmp_path: Path):
    output = tmp_path / "scores.csv"
    assert run(damaged, "-o", output, "--no-strain", "--diagnose").exit_code == 0
    table = pd.read_csv(output)
    assert table.diagnosis[2] == "wrong bond length"
    assert pd.isna(table.diagnosis[3])  # no molecule, and nothing to measure
    assert table.diagnosis_probability[:3].between(0, 1).all()
    other = run(damaged, "-o", output, "--force", "--diagnosis", tmp_path / "none.safetensors")
    assert other.exit_code == 2
    assert "no model at" in other.stderr


def test_scores_are_plotted_in_their_order(mixed: Path, tmp_path: Path):
    plot = tmp_path / "scores.svg"
    assert run(mixed, "--no-strain", "-o", tmp_path / "scores.csv", "--plot", plot).exit_code == 1  # some have none
    text = plot.read_text()
    for label in ("record", "score", "geometry", "torsions"):
        assert f">{label}<" in text
    assert not list(tmp_path.glob(".*"))
    wrong = run(mixed, "-o", tmp_path / "other.csv", "--plot", tmp_path / "scores.gif")
    assert wrong.exit_code == 2
    assert ".png" in wrong.stderr
