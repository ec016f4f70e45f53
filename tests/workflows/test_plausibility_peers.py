"""What others say of a structure: high where it is wrong in what they look at, and computed once."""

import math

import numpy as np
import pytest
from environment_statistics import FLOORS, LEAST_COUNT, statistics_of, terms, z_scores
from graph_defects import extra_hydrogen
from plausibility_peers import AGGREGATIONS, cached_scores, environment_z_scores, mmff_strain, structure_key
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers
from structure_changes import coordinates, embedded, rng
from structure_defects import noise, stretched_bond, stretched_hydrogen
from torsion_defects import eclipsed_torsion


@pytest.fixture(scope="module")
def relaxed():
    mol = embedded("CCCC(=O)Nc1ccccc1")
    rdForceFieldHelpers.MMFFOptimizeMolecule(mol, maxIters=2000)
    return mol


@pytest.fixture(scope="module")
def statistics(relaxed):
    return statistics_of([noise(relaxed, 0.02, rng(seed)).mol for seed in range(2 * LEAST_COUNT)])


def test_relaxed_structure_has_no_strain(relaxed):
    assert mmff_strain(relaxed) == pytest.approx(0, abs=1e-2)


def test_hydrogens_have_no_strain_and_heavy_atoms_have(relaxed):
    assert mmff_strain(stretched_hydrogen(relaxed, 0.5, rng()).mol) == pytest.approx(0, abs=0.1)
    assert mmff_strain(stretched_bond(relaxed, 0.2, rng()).mol) > 5


def test_strain_needs_no_hydrogens(relaxed):
    assert mmff_strain(Chem.RemoveAllHs(relaxed)) == pytest.approx(0, abs=0.1)


def test_wrong_valence_cannot_be_read_and_unknown_element_cannot_be_scored(relaxed):
    assert mmff_strain(extra_hydrogen(relaxed, 1, rng()).mol) == math.inf
    assert math.isnan(mmff_strain(embedded("C[Se]C")))


def test_every_term_of_the_references_is_known(relaxed, statistics):
    assert len(z_scores(relaxed, statistics)) == len(list(terms(relaxed)))
    assert max(z_scores(relaxed, statistics)) < 4


def test_one_stretched_bond_is_the_largest_by_its_deviation(relaxed, statistics):
    defect = stretched_bond(relaxed, 0.3, rng())
    z = z_scores(defect.mol, statistics)
    assert z.max() == pytest.approx(0.3 / max(0.02 * 2**0.5, FLOORS["bond"]), rel=0.5)  # noise of two atoms
    assert (z > 4).sum() == 1


def test_torsions_of_single_bonds_and_hydrogens_have_no_z_score(relaxed, statistics):
    for make in (eclipsed_torsion, stretched_hydrogen):
        defect = make(relaxed, 0.5, rng())
        assert z_scores(defect.mol, statistics) == pytest.approx(z_scores(relaxed, statistics), abs=1e-6)


def test_z_score_does_not_depend_on_the_order_of_atoms(relaxed, statistics):
    other = Chem.RenumberAtoms(relaxed, rng().permutation(relaxed.GetNumAtoms()).tolist())
    assert np.sort(z_scores(other, statistics)) == pytest.approx(np.sort(z_scores(relaxed, statistics)), rel=1e-3)


def test_environment_nobody_has_seen_is_passed_over(statistics):
    found = environment_z_scores([embedded("F[Si](F)(F)F")], statistics)
    assert found == {name: [0] for name in AGGREGATIONS}


def test_scores_are_kept_and_computed_once(relaxed, tmp_path):
    mols = [noise(relaxed, 0.1, rng(seed)).mol for seed in range(3)]
    asked = []

    def peer(mol):
        asked.append(mol)
        return math.inf if len(asked) == 2 else coordinates(mol)[0, 0]

    first = list(cached_scores("peer-1", peer, mols[:2], tmp_path))
    assert list(cached_scores("peer-1", peer, mols, tmp_path))[:2] == first
    assert len(asked) == 3
    assert first[1] == math.inf


def test_structures_are_told_apart_by_coordinates_and_bonds(relaxed):
    single = Chem.RWMol(relaxed)
    double = next(b for b in single.GetBonds() if b.GetBondType() == Chem.BondType.DOUBLE)
    double.SetBondType(Chem.BondType.SINGLE)
    names = {structure_key(mol) for mol in (relaxed, Chem.Mol(relaxed), single, noise(relaxed, 0.01, rng()).mol)}
    assert len(names) == 3
