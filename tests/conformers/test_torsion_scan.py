"""A torsion is turned all the way round, everything else relaxed."""

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdDistGeom
from rdkit.Chem.rdForceFieldHelpers import MMFFGetMoleculeForceField, MMFFGetMoleculeProperties
from rdkit.Chem.rdMolTransforms import GetDihedralDeg

from molebm.conformers.torsion_scan import TorsionScan, torsion_scan
from molebm.errors import RequestError
from molebm.parametrise import named_energy

BUTANE = (0, 1, 2, 3)


def embedded(smiles: str, n: int = 2) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMultipleConfs(mol, n, randomSeed=3)
    return mol


@pytest.fixture(scope="module")
def butane() -> TorsionScan:
    return torsion_scan(embedded("CCCC"), BUTANE, named_energy("mmff94"), n_points=12)


def test_angles_are_those_that_were_asked_for(butane):
    off = (butane.angles - np.arange(-180, 180, 30) + 180) % 360 - 180
    assert np.abs(off).max() < 1.0
    found = [GetDihedralDeg(conformer, *BUTANE) for conformer in butane.mol.GetConformers()]
    np.testing.assert_allclose((np.array(found) - butane.angles + 180) % 360 - 180, 0, atol=0.05)


def test_butane_has_its_minima_and_barriers_and_is_its_own_mirror_image(butane):
    above = dict(zip(range(-180, 180, 30), butane.energies - butane.energies.min(), strict=True))
    assert above[-180] == pytest.approx(0, abs=0.01)
    assert above[60] < 1.2 < 3 < above[120] < above[0]
    for angle in (30, 60, 90, 120, 150):
        assert above[angle] == pytest.approx(above[-angle], abs=0.05)


def test_energies_are_relaxed_as_rdkit_relaxes_under_the_same_constraint(butane):
    mol = Chem.Mol(butane.mol)
    properties = MMFFGetMoleculeProperties(mol)
    for point in (1, 6):  # -150°, 0°
        field = MMFFGetMoleculeForceField(mol, properties, confId=point)
        field.Initialize()
        angle = float(butane.angles[point])
        field.MMFFAddTorsionConstraint(*BUTANE, False, angle, angle, 1e4)
        field.Minimize(maxIts=2000)
        free = MMFFGetMoleculeForceField(mol, properties, confId=point).CalcEnergy()
        assert butane.energies[point] == pytest.approx(free, abs=0.02)


@pytest.mark.parametrize(
    ("smiles", "atoms", "said"),
    [
        ("CCCC", (0, 1, 2, 99), "four different"),
        ("CCCC", (0, 1, 2, 2), "four different"),
        ("CCCC", (0, 2, 1, 3), "not bonded"),
        ("C1CCCCC1", (0, 1, 2, 3), "in a ring"),
    ],
)
def test_what_is_no_torsion_to_turn_is_refused(smiles, atoms, said):
    with pytest.raises(RequestError, match=said):
        torsion_scan(embedded(smiles), atoms, named_energy("mmff94"))


def test_a_molecule_without_conformers_is_refused():
    with pytest.raises(RequestError, match="generate some"):
        torsion_scan(Chem.AddHs(Chem.MolFromSmiles("CCCC")), BUTANE, named_energy("mmff94"))
