import torch

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.plausibility.annealing import lowest_nearby
from molebm.plausibility.relaxation import relax


def test_the_lowest_that_any_anneal_finds_is_taken(alanine):
    """A double well about every atom, tilted: anneals from the higher wells reach lower ones."""
    topology = topology_from_mol(alanine)
    start = positions_from_mol(alanine).repeat(1, 1, 3)

    def wells(x):
        place = x - start[..., :1]
        return topology.sum_atoms((2 - 2 * torch.cos(6 * place) + place).sum(0))

    minimum = relax(wells, topology, start)
    lower = wells(lowest_nearby(wells, topology, minimum, 2, torch.Generator().manual_seed(0)))
    assert (lower < minimum.energy).all()


def test_anneals_that_explode_leave_the_minimum_that_was_there(alanine):
    topology = topology_from_mol(alanine)
    centres = positions_from_mol(alanine)

    def stiff(x):  # far beyond what the time step can follow
        return topology.sum_atoms((x - centres).square().sum(0) * 1e7)

    minimum = relax(stiff, topology, centres.clone())
    lowest = lowest_nearby(stiff, topology, minimum, 3, torch.Generator().manual_seed(0))
    torch.testing.assert_close(lowest, minimum.positions)
