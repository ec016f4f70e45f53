"""Descents of one conformer at a time end where those of conformers side by side do."""

import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.errors import TimeLimitError
from molebm.forcefield import native, native_loops
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.forcefield.native_loops import DescentSettings
from molebm.forcefield.parameters import Parameters, concatenate_parameters
from molebm.parametrise import mmff
from molebm.topology import Topology, concatenate

pytestmark = pytest.mark.skipif(not native.native_available(), reason="the extension was not built")

SMILES = ("CC(C)CCO", "O", "C=C", "CC#N", "O=S(=O)(N)c1ccc(F)cc1")  # odd and even numbers of atoms; a straight angle
DOUBLE = torch.float64


@pytest.fixture(scope="module")
def batch() -> tuple[Topology, Parameters, torch.Tensor]:
    """Molecules of several sizes with five shaken conformers each, float64."""
    topologies, parameters, positions = [], [], []
    for smiles in SMILES:
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        rdDistGeom.EmbedMultipleConfs(mol, 5, randomSeed=1)
        topologies.append(topology_from_mol(mol))
        parameters.append(mmff()([mol], topologies[-1]))
        positions.append(positions_from_mol(mol, DOUBLE))
    x = torch.cat(positions, dim=1)
    shaken = x + 0.03 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    return concatenate(topologies), concatenate_parameters(parameters), shaken


def test_energy_and_force_at_the_start_are_those_of_the_torch_kernel(batch):
    """A descent that may take no step after the first evaluation says what it found there."""
    topology, parameters, positions = batch
    found = native_loops.minimise_alone(native.bind(topology, parameters), positions, DescentSettings(max_steps=0))
    in_double = MechanicalEnergy(topology, parameters.to(dtype=DOUBLE), "torch")
    expected = in_double.energy_and_forces(positions)
    torch.testing.assert_close(found.energy, expected.energy, atol=1e-5, rtol=1e-6)
    sizes = expected.forces.norm(dim=0)
    largest = torch.stack([sizes[topology.molecule == g].amax(0) for g in range(topology.n_molecules)])
    torch.testing.assert_close(found.max_force, largest, atol=1e-4, rtol=1e-5)
    assert torch.equal(found.positions, positions)


def test_it_ends_where_conformers_side_by_side_end(batch):
    topology, parameters, positions = batch
    terms = native.bind(topology, parameters)
    tether = torch.where(topology.atomic_numbers == 1, 0.0, 20.0)
    tether[0] = torch.inf
    settings = DescentSettings(force_tolerance=0.01, max_steps=2000, tether=tether)
    alone = native_loops.minimise_alone(terms, positions, settings)
    together = native_loops.minimise(terms, positions, settings)
    assert (alone.max_force <= 0.01).all()
    torch.testing.assert_close(alone.energy, together.energy.double(), atol=1e-3, rtol=0)
    torch.testing.assert_close(alone.positions, together.positions.double(), atol=2e-2, rtol=0)
    assert torch.equal(alone.positions[:, 0], positions[:, 0])


def test_neither_the_conformers_nor_the_molecules_beside_it_matter_to_a_conformer(batch):
    topology, parameters, positions = batch
    settings = DescentSettings(max_steps=30)
    together = native_loops.minimise_alone(native.bind(topology, parameters), positions, settings)
    mol = Chem.AddHs(Chem.MolFromSmiles(SMILES[-1]))
    single = topology_from_mol(mol)
    last = slice(topology.n_atoms - single.n_atoms, None)
    by_itself = native_loops.minimise_alone(
        native.bind(single, mmff()([mol], single)), positions[:, last, 3:4], settings
    )
    assert torch.equal(by_itself.positions[..., 0], together.positions[:, last, 3])
    assert torch.equal(by_itself.energy[0, 0], together.energy[-1, 3])


def test_turning_a_molecule_turns_its_path_downhill(batch):
    """In double precision a rotation is rounding of 1e-15, which some tens of steps amplify, but not to 1e-6."""
    topology, parameters, positions = batch
    terms, settings = native.bind(topology, parameters), DescentSettings(max_steps=25)
    turn = torch.linalg.qr(torch.randn((3, 3), generator=torch.Generator().manual_seed(3), dtype=DOUBLE)).Q
    found = native_loops.minimise_alone(terms, positions, settings)
    turned = native_loops.minimise_alone(terms, torch.einsum("ab,bnc->anc", turn, positions), settings)
    torch.testing.assert_close(turned.energy, found.energy, atol=1e-6, rtol=0)


def test_conformer_that_is_not_finite_comes_back_as_it_was(batch):
    topology, parameters, positions = batch
    terms, broken = native.bind(topology, parameters), positions.clone()
    broken[0, 0, 3] = torch.nan
    found = native_loops.minimise_alone(terms, broken, DescentSettings(max_steps=5))
    whole = native_loops.minimise_alone(terms, positions, DescentSettings(max_steps=5))
    assert found.max_force[0, 3].isnan()
    assert not found.max_force[1:].isnan().any()
    others = torch.arange(5) != 3
    assert torch.equal(found.positions[..., others], whole.positions[..., others])


def test_it_minds_the_time_and_nothing_comes_of_nothing(batch):
    topology, parameters, positions = batch
    terms = native.bind(topology, parameters)
    with pytest.raises(TimeLimitError, match="time limit"):
        native_loops.minimise_alone(terms, positions, DescentSettings(seconds=-1.0))
    none = native_loops.minimise_alone(terms, positions[..., :0], DescentSettings())
    assert none.energy.shape == (len(SMILES), 0)
