"""Drawings colour the atoms that score, and views hold every conformer."""

import sys

import pytest
from rdkit import Chem
from rdkit.Chem import rdDistGeom

import molebm
from molebm.errors import RequestError
from molebm.figures.colours import COLOUR_STOPS


@pytest.fixture(scope="module")
def ethanol() -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    rdDistGeom.EmbedMultipleConfs(mol, 3, randomSeed=1)
    return mol


def test_a_drawing_shows_itself_in_a_notebook_and_is_saved(ethanol, tmp_path):
    drawing = molebm.depict(ethanol)
    assert drawing._repr_svg_().lstrip().startswith("<?xml")
    drawing.save(tmp_path / "ethanol.svg")
    assert (tmp_path / "ethanol.svg").read_text(encoding="utf-8") == drawing.svg


def test_atoms_are_coloured_by_their_scores_and_numbered_on_request(ethanol):
    scores = [0.0] * ethanol.GetNumAtoms()
    scores[2] = 1.0
    hottest = COLOUR_STOPS[-1].upper()
    assert hottest in molebm.depict(ethanol, scores).svg.upper()
    assert hottest not in molebm.depict(ethanol).svg.upper()
    assert len(molebm.depict(ethanol).svg) > len(molebm.depict(ethanol, numbered=False).svg)


def test_a_molecule_without_coordinates_or_hydrogens_is_drawn():
    assert "svg" in molebm.depict(Chem.MolFromSmiles("c1ccccc1O")).svg


def test_scores_of_other_atoms_are_refused(ethanol):
    with pytest.raises(RequestError, match="2 scores for 9 atoms"):
        molebm.depict(ethanol, [1.0, 2.0])


def test_a_view_holds_every_conformer(ethanol):
    pytest.importorskip("py3Dmol")
    assert molebm.view(ethanol)._make_html().count("RDKit          3D") == 3
    assert "addModelsAsFrames" in molebm.view(ethanol, animated=True)._make_html()
    hidden = molebm.view([ethanol, ethanol], hydrogens=False)._make_html()
    assert hidden.count("RDKit          3D") == 6 and " H  " not in hidden


def test_a_view_of_nothing_is_refused():
    pytest.importorskip("py3Dmol")
    with pytest.raises(RequestError, match="generate conformers first"):
        molebm.view([Chem.MolFromSmiles("C")])


def test_without_py3dmol_the_extra_is_named(ethanol, monkeypatch):
    monkeypatch.setitem(sys.modules, "py3Dmol", None)
    with pytest.raises(RequestError, match=r"molebm\[viz\]"):
        molebm.view(ethanol)


def test_molecules_are_not_changed_by_looking_at_them(ethanol):
    pytest.importorskip("py3Dmol")
    before = ethanol.ToBinary()
    molebm.view(ethanol)
    molebm.depict(ethanol)
    assert ethanol.ToBinary() == before
