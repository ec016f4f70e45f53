"""A page of ensembles tells what is in a file, what it leaves out, and works in a browser without a network."""

import json
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdMolAlign

from molebm.chem.ensemble_text import sdf_text
from molebm.chem.reading import Record, read_molecules
from molebm.cli import main
from molebm.conformers.ensemble_files import MOST_KEPT, ensembles_of, shown
from molebm.conformers.outcomes import Ensemble, ensemble
from molebm.conformers.report import EnsembleReport, ensemble_report
from tests.chromium import in_chromium, opened, requested_outside

HOSTILE = "<script>alert(1)</script>"


def made(smiles: str, name: str, n: int) -> Ensemble:
    """Give embedded conformers energies in steps of 0.5 kcal/mol."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMultipleConfs(mol, n, randomSeed=7)
    positions = np.array([conformer.GetPositions() for conformer in mol.GetConformers()])
    energies = 0.5 * np.arange(n) - 3
    return ensemble(name, smiles, mol, positions, energies, energies, 300.0)


@pytest.fixture(scope="module")
def ensembles() -> list[Ensemble]:
    return [made("CCCCO", "butanol", 4), made("CC(=O)Nc1ccc(O)cc1", HOSTILE, 3), made("C", "methane", 1)]


@pytest.fixture(scope="module")
def file(ensembles, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "out.sdf"
    text = "".join(sdf_text(one.mol, one.name) for one in ensembles)
    path.write_text(text + "broken\n\n\nnot a count line\n$$$$\n")
    return path


@pytest.fixture(scope="module")
def html(file) -> str:
    output = file.with_name("out.html")
    result = CliRunner().invoke(main.cli, ["report", str(file), "-o", str(output)], prog_name="molebm")
    assert result.exit_code == 1 and "8 conformers of 3 molecules" in result.stderr, result.output
    return output.read_text(encoding="utf-8")


def tiles(html: str) -> list[int]:
    return [int(found) for found in re.findall(r'id="n-\w+">(\d+)<', html)]


def scenes(html: str) -> list[dict]:
    return json.loads(re.search(r'id="scenes">(.*?)</script>', html, re.DOTALL)[1])


def test_records_of_one_molecule_are_joined_with_their_numbers(file, ensembles):
    found = list(ensembles_of(read_molecules(file)))
    (broken,) = (one for one in found if isinstance(one, Record))
    assert broken.name == "broken"
    for read, given in zip((one for one in found if one is not broken), ensembles, strict=True):
        assert (read.name, read.n_conformers) == (given.name, given.mol.GetNumConformers())
        np.testing.assert_allclose(read.energies, given.energies)
        np.testing.assert_allclose(read.weights, given.weights, atol=1e-7)
        np.testing.assert_allclose(read.positions[-1], tuple(given.mol.GetConformers())[-1].GetPositions(), atol=1e-4)


def test_a_name_that_two_molecules_share_does_not_join_them():
    records = [Record(k, "same", "", made(smiles, "", 1).mol, None) for k, smiles in enumerate(("CCO", "COC", "COC"))]
    assert [one.n_conformers for one in ensembles_of(records)] == [1, 2]


def test_everything_is_counted_and_what_has_no_structure_is_told(html):
    assert tiles(html) == [3, 8, 1]
    assert "Records without a structure" in html and "broken" in html


def test_numbers_are_those_of_the_file(html, ensembles):
    rows = re.findall(r'<tr tabindex="0">(.*?)</tr>', html)
    cells = [re.findall(r">([^<>]+)</td>", row) for row in rows[:4]]
    assert [row[1] for row in cells] == ["0", "0.5", "1", "1.5"]
    assert [float(row[2]) for row in cells] == pytest.approx(ensembles[0].weights, rel=5e-3)
    assert float(cells[0][3]) == pytest.approx(0, abs=1e-3)


def test_conformers_are_superposed_and_keep_their_distances(html, ensembles):
    frames = np.array(scenes(html)[0]["frames"])
    given = ensembles[0].mol
    for k, conformer in enumerate(given.GetConformers()):
        x = conformer.GetPositions()
        pairs = np.linalg.norm(x[:, None] - x[None], axis=-1)
        np.testing.assert_allclose(np.linalg.norm(frames[k][:, None] - frames[k][None], axis=-1), pairs, atol=3e-3)
        probe = Chem.Mol(given)
        heavy = [atom.GetIdx() for atom in given.GetAtoms() if atom.GetAtomicNum() > 1]
        best = rdMolAlign.AlignMol(probe, given, prbCid=k, refCid=0, atomMap=[(a, a) for a in heavy])
        apart = ((frames[k][heavy] - frames[0][heavy]) ** 2).sum(-1).mean() ** 0.5
        assert apart == pytest.approx(best, abs=3e-3)


def test_what_is_left_out_is_told(ensembles):
    report = EnsembleReport(n_rows=2, n_structures=1)
    for one in ensembles:
        report.add(shown(one))
    html = report.render()
    assert tiles(html) == [3, 8, 0]
    assert "The first 2 of 3 molecules are here" in html
    assert len(scenes(html)) == 1


def test_conformers_beyond_the_cap_are_counted_and_not_kept():
    many = made("CC", "ethane", 1).mol
    records = (Record(k, "ethane", "", many, None) for k in range(MOST_KEPT + 5))
    (found,) = ensembles_of(records)
    assert (len(found.positions), found.n_conformers) == (MOST_KEPT, MOST_KEPT + 5)
    report = EnsembleReport()
    report.add(found)
    assert "5 more conformers of the file are counted and not shown" in report.render()


def test_memory_does_not_grow_with_the_file():
    mol = made("C", "", 1).mol

    def peak(n: int) -> int:
        report = EnsembleReport(n_rows=20, n_structures=2)
        tracemalloc.start()
        for found in ensembles_of(Record(k, f"{k:0100d}", "", mol, None) for k in range(n)):
            report.add(found)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(1500) < 1.5 * peak(300)


def test_text_of_the_input_stays_text(html):
    assert HOSTILE not in html and "&lt;script&gt;" in html


def test_files_of_other_programs_have_no_numbers_and_still_a_page():
    bare = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    rdDistGeom.EmbedMultipleConfs(bare, 2, randomSeed=1)
    html = ensemble_report([bare])
    assert tiles(html) == [1, 2, 0]
    assert re.findall(r'<td class="n">1</td><td class="n">(.*?)</td><td class="n">(.*?)</td>', html) == [("–", "–")]
    assert tiles(ensemble_report([])) == [0, 0, 0]


@in_chromium
def test_conformers_are_chosen_and_laid_upon_one_another_in_a_browser(html, file, tmp_path):
    with opened(file.with_name("out.html"), tmp_path) as browser:
        drawn = "return document.getElementById('view').dataset.drawn"
        first = browser.picture()
        assert browser.run(drawn) == "15"  # atoms of butanol
        browser.click("#told tbody tr:nth-child(3)")
        assert browser.run("return document.getElementById('which').textContent") == "conformer 3 of 4"
        third = browser.picture()
        assert third != first
        browser.click("#together")
        assert browser.run(drawn) == "60"
        browser.click("#hydrogens")
        assert browser.run(drawn) == "20"
        browser.click(".card:nth-of-type(3)")
        assert browser.run("return document.getElementById('structure').value") == "2"
        images = browser.run("return [...document.images].map((image) => image.naturalWidth)")
        assert min(images) > 0
        assert browser.ask("POST", "/se/log", type="browser") == []
        assert requested_outside(browser) == []
