import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from molebm.conformers.selection import distinct_conformers
from molebm.conformers.weights import boltzmann_weights, degeneracies
from molebm.units import thermal_energy


def minima(smiles: str, n: int = 40) -> tuple[Chem.Mol, np.ndarray]:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = 1
    rdDistGeom.EmbedMultipleConfs(mol, n, parameters)
    energies = np.array([e for _, e in rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(mol, maxIters=500)])
    positions = np.stack([conformer.GetPositions() for conformer in mol.GetConformers()])
    chosen = distinct_conformers(mol, positions, energies, rmsd=0.15, energy_window=20, n_conformers=99)
    return mol, positions[chosen]


def test_weights_are_those_of_boltzmann():
    weights = boltzmann_weights(np.array([-500.0, -500.0 + thermal_energy(300.0)]), 300.0)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] / weights[1] == pytest.approx(np.e)


def test_two_copies_weigh_twice():
    assert boltzmann_weights(np.zeros(2), 300.0, degeneracies=np.array([1, 2])).tolist() == pytest.approx(
        [1 / 3, 2 / 3]
    )


def test_gauche_butane_is_two_and_anti_butane_one():
    """Each handed gauche form stands for itself if both are listed, and for both if one is."""
    mol, positions = minima("CCCC")
    assert len(positions) == 3
    anti = int(np.linalg.norm(positions[:, 0] - positions[:, 3], axis=1).argmax())
    gauche = [i for i in range(3) if i != anti]
    assert degeneracies(mol, positions).tolist() == [1, 1, 1]
    one_each = degeneracies(mol, positions[[anti, gauche[0]]])
    assert one_each.tolist() == [1, 2]


def test_handed_molecule_has_no_mirrored_conformers():
    mol = Chem.AddHs(Chem.MolFromSmiles("CC[C@H](F)Cl"))
    rdDistGeom.EmbedMolecule(mol, randomSeed=1)
    assert degeneracies(mol, mol.GetConformer().GetPositions()[None]).tolist() == [1]
    open_one = Chem.AddHs(Chem.MolFromSmiles("CCC(F)(F)Cl"))
    rdDistGeom.EmbedMolecule(open_one, randomSeed=1)
    assert degeneracies(open_one, open_one.GetConformer().GetPositions()[None])[0] >= 1


def test_flat_ring_in_the_middle_adds_no_copies():
    """The flip of the ring of toluene is undone by turning the whole."""
    mol = Chem.AddHs(Chem.MolFromSmiles("Cc1ccccc1"))
    rdDistGeom.EmbedMolecule(mol, randomSeed=1)
    assert degeneracies(mol, mol.GetConformer().GetPositions()[None]).tolist() == [1]
