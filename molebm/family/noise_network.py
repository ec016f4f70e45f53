"""The network behind the energies of noised conformers: bond graph in, terms for every level of noise out."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from molebm.family.noise_terms import NoiseTerms
from molebm.models import priors
from molebm.models.network import GraphNetwork
from molebm.samplers.bond_graph import atoms_within_molecules
from molebm.topology import Topology

FARTHEST: Final = 8  # bonds apart; atoms that are farther share a category
RADIUS: Final = (1.4, 2.4, 3.3, 4.1, 4.9, 5.6, 6.2, 7.0)  # Å, between atoms one bond apart, two, and so on
SPREAD: Final = (0.04, 0.07, 0.15, 0.4, 0.6, 0.8, 1.0, 1.2)  # Å
WEIGHT: Final = (1.0, 1.0, 0.5, 0.2, 0.1, 0.1, 0.1, 0.1)
FADING: Final = 0.4  # Å of noise, about which the weights fall to those of a cloud

STEREO: Final = 3.0  # Å², that atoms move when a centre is inverted, over what noise moves them
MOST_STEREO: Final = 100.0  # kT, of an inverted centre without noise


class NoiseNetwork(GraphNetwork):
    """Reads the bond graph once; what is left for each step is a sum over pairs of atoms.

    It begins where chemistry already knows: distances by bonds between the atoms, and weights with which a cloud
    of atoms under much noise has the right size, :math:`w = 2/N`.

    Parameters
    ----------
    n_wells
        Distances that a pair may have, as those of gauche and trans.
    sigma_min, sigma_max
        Å, the first and last of the knots, between which the terms are interpolated in ln σ.
    """

    def __init__(
        self,
        width: int = 64,
        n_layers: int = 4,
        hidden: int = 64,
        n_wells: int = 3,
        n_knots: int = 6,
        sigma_min: float = 0.04,
        sigma_max: float = 6.0,
    ) -> None:
        super().__init__(width, n_layers)
        self.n_wells, self.n_knots = n_wells, n_knots
        self.knots: Tensor
        self.register_buffer("knots", torch.linspace(math.log(sigma_min), math.log(sigma_max), n_knots))
        self.ends = nn.Linear(width, hidden)
        self.product = nn.Linear(width, hidden, bias=False)
        self.separation = nn.Embedding(FARTHEST, hidden)
        self.between = nn.Linear(width, hidden, bias=False)
        self.bonded = nn.Linear(width, hidden, bias=False)
        self.mixed = nn.Linear(hidden, hidden)
        self.pair = nn.Linear(hidden, (3 * n_wells + 1) * n_knots)
        self.centre = nn.Linear(width, 2 * n_knots)
        self.double_bond = nn.Linear(width, 2 * n_knots)
        for head in (self.pair, self.centre, self.double_bond):
            nn.init.zeros_(head.bias)
            nn.init.normal_(head.weight, std=0.1 * head.in_features**-0.5)

    def forward(self, topology: Topology) -> NoiseTerms:
        """Predict the terms of every molecule of a topology."""
        t = topology
        atoms, bonds = self.encode(t)
        pairs, apart = pairs_and_separations(t)
        place = PairLookup(pairs, t.n_atoms)
        x = (
            self.ends(atoms)[pairs].sum(0)
            + self.product(atoms[pairs[0]] * atoms[pairs[1]])
            + self.separation(apart - 1)
        )
        between, bonded = self.between(atoms), self.bonded(bonds)
        x = x.index_add(0, place(t.bonds), bonded)
        x = x.index_add(0, place(t.angles[[0, 2]]), between[t.angles[1]])
        x = x.index_add(0, place(t.torsions[[0, 3]]), between[t.torsions[1:3]].sum(0) + bonded[t.torsion_bonds[1]])
        x = silu(x)
        x = x + silu(self.mixed(x))
        out = self.pair(x).view(-1, 3 * self.n_wells + 1, self.n_knots).movedim(1, 0)  # (3 M + 1, P, L)
        radius, spread, share, weight = out.split([self.n_wells, self.n_wells, self.n_wells, 1])
        middle, broad, least = self._priors(t, pairs, apart)
        offsets = torch.linspace(-0.2, 0.2, self.n_wells, device=x.device)[:, None, None]
        wide = (apart > 2)[:, None]
        return NoiseTerms(
            pairs=pairs,
            radius=middle[:, None] * torch.exp(torch.tanh(radius + offsets * wide)),
            spread=broad.square()[:, None] * torch.exp(3 * torch.tanh(spread)),
            share=share,
            weight=least * torch.exp(3 * torch.tanh(weight[0] / 3)),
            centre=self._stereo(self.centre, atoms[t.stereo_centres[0]]),
            double_bond=self._stereo(self.double_bond, atoms[t.stereo_bonds[1:3]].sum(0)),
            knots=self.knots,
        )

    def _priors(self, topology: Topology, pairs: Tensor, apart: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Radius (P,) Å, spread (P,) Å and weight (P, L) of each pair before anything is learned."""
        radius, spread, weight = (
            torch.tensor(table, device=apart.device)[apart - 1] for table in (RADIUS, SPREAD, WEIGHT)
        )
        rows = PairLookup(pairs, topology.n_atoms)(topology.bonds)
        radius = radius.index_copy(0, rows, priors.bond_length(topology))
        cloud = 2 / topology.atoms_per_molecule()[topology.molecule[pairs[0]]]  # (P,)
        near = 1 / (1 + (self.knots.exp() / FADING).square())  # (L,)
        return radius, spread, cloud[:, None] + (weight - cloud).clamp(min=0)[:, None] * near

    def _stereo(self, head: nn.Linear, encoded: Tensor) -> Tensor:
        height, steepness = head(encoded).view(-1, 2, self.n_knots).movedim(1, 0)
        inverted = STEREO / (self.knots.exp().square() + STEREO / MOST_STEREO)  # (L,)
        return torch.stack([inverted * torch.exp(3 * torch.tanh(height / 3)), 2 * torch.exp(torch.tanh(steepness))])


class PairLookup:
    """Finds the column of a pair among sorted pairs (2, P), whichever atom comes first."""

    def __init__(self, pairs: Tensor, n_atoms: int) -> None:
        self.keys, self.n_atoms = pairs[0] * n_atoms + pairs[1], n_atoms

    def __call__(self, ends: Tensor) -> Tensor:
        return torch.searchsorted(self.keys, ends.amin(0) * self.n_atoms + ends.amax(0))


def pairs_and_separations(topology: Topology) -> tuple[Tensor, Tensor]:
    """List every pair of atoms of each molecule once, (2, P) sorted, and the bonds between them, (P,), 8 at most."""
    t = topology
    sizes = t.atoms_per_molecule()
    n, within = int(sizes.max()), atoms_within_molecules(t)
    molecule = t.molecule[t.bonds[0]]
    near = torch.zeros((t.n_molecules, n, n), device=t.device)
    near[molecule, within[t.bonds[0]], within[t.bonds[1]]] = 1
    near = (near + near.mT).clamp(max=1)
    reached = torch.eye(n, device=t.device).expand_as(near)
    apart = torch.full(near.shape, FARTHEST, device=t.device)
    for step in range(1, FARTHEST):
        further = ((reached + reached @ near) > 0).float()
        apart = torch.where((further > reached), step, apart)
        reached = further
    i, j = torch.triu_indices(n, n, 1, device=t.device)
    real = j < sizes[:, None]  # (G, n (n - 1) / 2)
    first = (sizes.cumsum(0) - sizes)[:, None]
    pairs = torch.stack([(first + i)[real], (first + j)[real]])
    return pairs, apart[:, i, j][real]
