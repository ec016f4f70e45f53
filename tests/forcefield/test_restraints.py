import pytest
import torch
from rdkit import Chem

from molebm.chem.graph import topology_from_mol
from molebm.forcefield import native, native_restraints
from molebm.forcefield.geometry import cos_torsion, distance, triple_product
from molebm.forcefield.native_loops import DescentSettings
from molebm.forcefield.restraints import restraint_energy, restraints_of
from molebm.parametrise import mmff
from molebm.samplers.minimise import minimise
from molebm.topology import concatenate

SMILES = ("C[C@H](F)Cl", "C/C=C\\CO", "c1ccccc1C")


@pytest.fixture(scope="module")
def three():
    mols = [Chem.AddHs(Chem.MolFromSmiles(smiles)) for smiles in SMILES]
    topologies = [topology_from_mol(mol) for mol in mols]
    topology = concatenate(topologies)
    parameters = mmff()(mols, topology).to(dtype=torch.float32)
    starts = 2 * torch.randn(4, topology.n_atoms, 16, generator=torch.Generator().manual_seed(0))
    return topology, parameters, restraints_of(topology, parameters), starts


def folded(three):
    topology, _, restraints, starts = three
    for fourth_k in (0.1, 20.0):
        found = minimise(
            lambda x, k=fourth_k: restraint_energy(restraints, topology, x, k),
            topology,
            starts,
            force_tolerance=0.5,
            max_steps=300,
            max_displacement=1.0,
        )
        starts = found.positions
    return found


def test_random_coordinates_fold_into_the_molecule(three):
    topology, parameters, _, _ = three
    found = folded(three)
    assert found.positions[3].abs().median() < 0.05
    good = found.energy < 5.0  # kcal/mol, nearly all
    assert good.float().mean() > 0.8
    lengths = distance(found.positions[:3], *topology.bonds) - parameters.bond_length[:, None]
    assert lengths[good[topology.molecule_of("bonds")]].abs().max() < 0.15
    handed = triple_product(found.positions[:3], topology.stereo_centres).sign() == topology.stereo_signs[:, None]
    assert handed[good[topology.molecule_of("stereo_centres")]].all()
    cis = (cos_torsion(found.positions[:3], topology.stereo_bonds) > 0) == topology.stereo_cis[:, None]
    assert cis[good[topology.molecule_of("stereo_bonds")]].all()


def test_mirror_image_of_a_handed_centre_costs_energy(three):
    topology, _, restraints, _ = three
    found = folded(three)
    best = found.energy.argmin(dim=1)
    mirrored = found.positions.clone()
    mirrored[2] *= -1
    rise = restraint_energy(restraints, topology, mirrored, 20.0) - found.energy
    assert rise[0, best[0]] > 5.0  # kcal/mol
    torch.testing.assert_close(rise[1:], torch.zeros_like(rise[1:]), atol=1e-4, rtol=0)  # no centres there


@pytest.mark.skipif(not native.native_available(), reason="the extension was not built")
def test_loops_in_c_have_the_same_energy(three):
    topology, _, restraints, starts = three
    bound = native_restraints.bind_restraints(topology, restraints)
    still = native_restraints.restrain(bound, starts, 0.1, DescentSettings(max_steps=0))
    torch.testing.assert_close(still.energy, restraint_energy(restraints, topology, starts, 0.1), rtol=1e-5, atol=1e-3)
    found = native_restraints.restrain(bound, starts, 0.1, DescentSettings(0.5, 300, 1.0, 5))
    at_end = restraint_energy(restraints, topology, found.positions, 0.1)
    torch.testing.assert_close(found.energy, at_end, rtol=1e-4, atol=1e-3)
    assert (found.energy < still.energy).all()
