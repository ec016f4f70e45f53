import re

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdMolTransforms

from molebm.plausibility import score
from tests.plausibility.conftest import embedded, moved, stretched


def worst(mol) -> str:
    return score([mol], energy="mmff94").reasons[0].split("; ")[0]


def test_stretched_bond_is_named_first_with_both_lengths(alanine):
    length = rdMolTransforms.GetBondLength(alanine.GetConformer(), 4, 6)
    words = worst(stretched(alanine, 4, 6, 0.3))
    assert words.startswith(f"bond C4-C6 {length + 0.3:.2f} Å, expected {length:.2f} Å (+")


def test_bent_angle_is_named_first():
    mol = embedded("O=C=O")
    bent = moved(mol, lambda x: x + [[0, 0, 0.8], [0, 0, 0], [0, 0, 0.8]] @ np.eye(3))
    assert re.match(r"angle O0-C1-O2 1[0-4]\d°, expected 180° ", worst(bent))


def test_twisted_amide_is_named_first_by_its_heavy_atoms():
    mol = embedded("CNC=O")
    mol = Chem.RenumberAtoms(mol, [7, *range(7), 8])  # the hydrogen of the nitrogen first
    rdMolTransforms.SetDihedralDeg(mol.GetConformer(), 1, 2, 3, 4, 90)
    assert worst(mol).startswith("torsion C1-N2-C3-O4 90°, expected ")


def test_pyramidal_carbonyl_is_out_of_its_plane():
    mol = embedded("O=C(Cl)Cl")
    normal = np.cross(*np.diff(mol.GetConformer().GetPositions()[[0, 1, 2]], axis=0))
    words = worst(moved(mol, lambda x: x + np.eye(4)[1][:, None] * 0.5 * normal / np.linalg.norm(normal)))
    assert re.match(r"C1 \d\d° out of the plane of O0, Cl2 and Cl3, expected 0° ", words)


def test_clash_names_the_contact():
    mol = embedded("C" * 7)
    for torsion, angle in [((0, 1, 2, 3), 180), ((1, 2, 3, 4), 60), ((2, 3, 4, 5), -60), ((3, 4, 5, 6), 180)]:
        rdMolTransforms.SetDihedralDeg(mol.GetConformer(), *torsion, angle)  # the syn-pentane clash
    words = worst(mol)
    first, second, told = re.match(r"contact \w(\d+)...\w(\d+) (\d\.\d) Å, \+\d+\.\d kcal/mol$", words).groups()
    distance = np.linalg.norm(np.diff(mol.GetConformer().GetPositions()[[int(first), int(second)]], axis=0))
    assert float(told) == pytest.approx(distance, abs=0.05)
    assert distance < 2.0


def test_reasons_are_of_the_right_molecule(alanine):
    mols = [embedded("CCO"), stretched(alanine, 4, 6, 0.3), stretched(embedded("c1ccccc1O"), 5, 6, 0.3)]
    told = score(mols, energy="mmff94").reasons
    assert [words[:10] for words in told] == ["", "bond C4-C6", "bond C5-O6"]


def test_relaxed_structure_gives_no_reasons(alanine):
    assert score([alanine], energy="mmff94").reasons[0] == ""
