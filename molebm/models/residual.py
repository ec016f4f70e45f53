"""A network over the bond graph that predicts how each atom couples the geometry around it."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from molebm.models.couplings import Couplings
from molebm.models.heads import ReversibleHead
from molebm.models.network import GraphNetwork
from molebm.topology import Topology

SEPARATIONS: Final = 4  # one bond, two, three, more

READOUT: Final = 10.0  # by how much smaller steps of training are there, so that the first do not reach the bound


class ResidualNetwork(GraphNetwork):
    """Bond graph in, the couplings that the kernel lacks out; exactly zero energy until it is trained.

    Like the network of the parameters it runs once per molecule, and what is left for each step is the
    small sum over pairs of `coupling_energy`.

    Parameters
    ----------
    n_densities, hidden
        Of each atom: the price of a step. The width and the layers of the graph network cost nothing there.
    cutoff
        Å.
    bound
        Of the energy of each atom, kcal/mol.
    """

    def __init__(
        self,
        width: int = 32,
        n_layers: int = 2,
        n_densities: int = 8,
        hidden: int = 16,
        cutoff: float = 5.0,
        bound: float = 3.0,
    ) -> None:
        super().__init__(width, n_layers)
        self.cutoff, self.bound = cutoff, bound
        self.receiver = nn.Linear(width, width)
        self.sender = nn.Linear(width, width, bias=False)
        self.separation = nn.Embedding(SEPARATIONS, width)
        self.coefficients = nn.Linear(width, n_densities)
        self.torsion = ReversibleHead(width, hidden=width, n_atoms=4, n_bonds=3, n_even=n_densities, n_odd=n_densities)
        nn.init.normal_(self.torsion.out.weight, std=width**-0.5)
        self.mixing = nn.Linear(n_densities, hidden, bias=False)
        self.bias = nn.Linear(width, hidden)
        self.readout = nn.Linear(width, hidden)
        nn.init.zeros_(self.readout.weight)
        nn.init.zeros_(self.readout.bias)

    def forward(self, topology: Topology) -> Couplings:
        """Predict the couplings of every molecule of a topology."""
        atoms, bonds = self.encode(topology)
        pairs, separation = separated_pairs(topology)
        receivers, senders = self.receiver(atoms)[pairs], self.sender(atoms)[pairs.flip(0)]  # (2, P, width)
        hidden = nn.functional.silu(receivers + senders + self.separation(separation))
        even, odd = self.torsion(atoms, bonds, topology.torsions, topology.torsion_bonds).chunk(2, dim=1)  # (T, K) each
        return Couplings(
            pairs=pairs,
            coefficients=self.coefficients(hidden),
            torsions=torch.stack([even + odd, even - odd]),
            mixing=self.mixing.weight,
            bias=self.bias(atoms),
            readout=self.readout(atoms) / READOUT,
            cutoff=self.cutoff,
            bound=self.bound,
        )


def separated_pairs(topology: Topology) -> tuple[Tensor, Tensor]:
    """List every pair of atoms of each molecule once, (2, P), and how far apart it is, (P,) in SEPARATIONS."""
    t = topology
    lists = (t.bonds, t.angles[[0, 2]], t.pairs[:, t.pairs_14], t.pairs[:, ~t.pairs_14])
    ends = torch.cat(lists, dim=1)
    label = torch.repeat_interleave(torch.tensor([part.shape[1] for part in lists], device=t.device))
    keys = ends.amin(0) * t.n_atoms + ends.amax(0)
    codes = torch.unique(keys * SEPARATIONS + label)  # in a ring, a pair can be listed as several kinds
    keys = codes // SEPARATIONS
    codes = codes[keys.diff(prepend=keys.new_tensor([-1])) != 0]  # the nearest comes first
    return torch.stack([codes // SEPARATIONS // t.n_atoms, codes // SEPARATIONS % t.n_atoms]), codes % SEPARATIONS
