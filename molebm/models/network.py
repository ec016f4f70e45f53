"""A message-passing network over the bond graph that predicts every parameter of the kernel."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from molebm.forcefield.parameters import Parameters
from molebm.models import priors
from molebm.models.heads import ReversibleHead, SlotHead
from molebm.models.likeness import atom_kinds, bond_kinds, kinds
from molebm.topology import ATOM_FEATURE_SIZES, BOND_FEATURE_SIZES, Topology

TORSION_HARMONICS: Final = 6


class GraphNetwork(nn.Module):
    """Rounds of messages over the bond graph, for what reads the encodings of atoms and bonds."""

    def __init__(self, width: int, n_layers: int, *, gated: bool = False) -> None:
        super().__init__()
        self.atom_embedding = CategoryEmbedding(ATOM_FEATURE_SIZES, width)
        self.bond_embedding = CategoryEmbedding(BOND_FEATURE_SIZES, width)
        self.layers = nn.ModuleList(BondConvolution(width, gated=gated) for _ in range(n_layers))
        self.norm = nn.LayerNorm(width)

    def encode(self, topology: Topology) -> tuple[Tensor, Tensor]:
        """Encode atoms, (N, width), and bonds, (B, width)."""
        found = self.encode_kinds(topology)
        return found.atoms[found.atom_kind], found.bonds[found.bond_kind]

    def encode_kinds(self, topology: Topology) -> Encodings:
        """Encode atoms and bonds that look alike once."""
        of_bonds = bond_kinds(topology)
        bonds = self.bond_embedding(topology.bond_features[:, of_bonds.example])
        senders, receivers = torch.cat([topology.bonds, topology.bonds.flip(0)], dim=1)
        here, *later = atom_kinds(topology, len(self.layers))
        atoms = self.atom_embedding(topology.atom_features[:, here.example])
        for layer, there in zip(self.layers, later, strict=True):
            place = torch.full_like(there.of, -1)
            place[there.example] = torch.arange(len(there.example), device=place.device)
            chosen = place[receivers] >= 0
            edges = torch.stack([here.of[senders[chosen]], place[receivers[chosen]]])
            atoms = layer(atoms, here.of[there.example], edges, bonds, of_bonds.of.repeat(2)[chosen])
            here = there
        return Encodings(self.norm(atoms), bonds, here.of, of_bonds.of)


class Encodings(NamedTuple):
    """What a network makes of atoms and bonds, by kinds of those that look alike to it."""

    atoms: Tensor  # (M, width)
    bonds: Tensor  # (L, width)
    atom_kind: Tensor  # (N,) int64
    bond_kind: Tensor  # (B,) int64


class ParameterNetwork(GraphNetwork):
    """Bond graph in, one point of the kernel's parameter space out.

    It runs once per molecule, not once per Langevin step, so sampling the learned energy costs
    what a force field costs. Every parameter is bounded around a prior known from the elements and
    the hybridisation, so that even an untrained network gives a molecule that holds together.

    References
    ----------
    Wang et al., Chem. Sci. 13, 12016 (2022), espaloma; Seute et al., Chem. Sci. 16, 2907 (2025), Grappa.
    """

    def __init__(self, width: int = 128, hidden: int = 64, n_layers: int = 4, gated: bool = False) -> None:
        super().__init__(width, n_layers, gated=gated)
        self.bond = ReversibleHead(width, hidden=hidden, n_atoms=2, n_bonds=1, n_even=2)
        self.angle = ReversibleHead(width, hidden=hidden, n_atoms=3, n_bonds=2, n_even=3, n_odd=1)
        self.torsion = ReversibleHead(width, hidden=hidden, n_atoms=4, n_bonds=3, n_even=TORSION_HARMONICS)
        self.improper = SlotHead(width, hidden=hidden, n_slots=2, n_outputs=1)
        self.atom = SlotHead(width, hidden=hidden, n_slots=1, n_outputs=5)
        self.increment = ReversibleHead(width, hidden=hidden, n_atoms=2, n_bonds=1, n_odd=1)

    def forward(self, topology: Topology) -> Parameters:
        """Predict the parameters of every molecule of a topology."""
        t, e = topology, self.encode_kinds(topology)
        along = torch.arange(t.bonds.shape[1], device=t.device)[None]
        stiffness, length = _per_term(self.bond, e, t.bonds, along).T
        bend, theta, symmetric, antisymmetric = _per_term(self.angle, e, t.angles, t.angle_bonds).T
        around, centre = e.atom_kind[t.impropers[[0, 2, 3]]], e.atom_kind[t.impropers[1]]
        (improper,) = self.improper(e.atoms[centre], e.atoms[around].sum(0)).T
        radius, depth, softness, donor, acceptor = self.atom(e.atoms)[e.atom_kind].T
        (increment,) = _per_term(self.increment, e, t.bonds, along).T
        pair_radius, pair_depth = combine(
            priors.radius(t) * torch.exp(0.3 * torch.tanh(radius)),
            priors.WELL_DEPTH * torch.exp(2 * torch.tanh(depth)),
            torch.exp(torch.tanh(softness)),
            torch.sigmoid(donor - 3),
            torch.sigmoid(acceptor - 3),
            t.pairs,
        )
        return Parameters(
            bond_k=priors.BOND_K * torch.exp(1.5 * torch.tanh(stiffness)),
            bond_length=priors.bond_length(t) * torch.exp(0.3 * torch.tanh(length)),
            angle_k=priors.ANGLE_K * torch.exp(2 * torch.tanh(bend)),
            angle_theta=(priors.angle_theta(t) + torch.tanh(theta)).clamp(max=math.pi),
            angle_linear=priors.is_linear(t),
            stretch_bend_k=priors.STRETCH_BEND_K
            * torch.tanh(torch.stack([symmetric + antisymmetric, symmetric - antisymmetric]))
            * ~priors.is_linear(t),
            torsion_v=priors.TORSION_V * torch.tanh(_per_term(self.torsion, e, t.torsions, t.torsion_bonds).T),
            improper_k=priors.IMPROPER_K * torch.tanh(improper + 0.1),
            pair_radius=pair_radius,
            pair_depth=pair_depth,
            charge=charges(t, priors.charge_increment(t) + torch.tanh(increment)),
        )


def _per_term(head: ReversibleHead, e: Encodings, atoms: Tensor, bonds: Tensor) -> Tensor:
    """Read chains of atoms (n_atoms, T) and their bonds (n_bonds, T), each kind of chain once; (T, outputs)."""
    atom_chain, bond_chain = e.atom_kind[atoms], e.bond_kind[bonds]
    alike = kinds([*atom_chain, *bond_chain])
    return head(e.atoms, e.bonds, atom_chain[:, alike.example], bond_chain[:, alike.example])[alike.of]


class BondConvolution(MessagePassing):
    """One round of messages along the bonds, residual and normalised.

    With gates, the receiver decides how much of each message it lets in, as attention does.

    References
    ----------
    Bresson and Laurent, arXiv:1711.07553, for the gates.
    """

    def __init__(self, width: int, *, gated: bool = False) -> None:
        super().__init__(aggr="sum")
        self.norm = nn.LayerNorm(width)
        self.sender = nn.Linear(width, width)
        self.along = nn.Linear(width, width, bias=False)
        self.receiver = nn.Linear(width, width) if gated else None
        self.update_net = nn.Sequential(nn.Linear(2 * width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, atoms: Tensor, kept: Tensor, edges: Tensor, bonds: Tensor, along: Tensor) -> Tensor:
        """Let kinds of atoms (M, width) send messages to those that come of them.

        Parameters
        ----------
        kept
            (M',) what each receiver was before the round.
        edges
            (2, E) senders below M and receivers below M'.
        bonds, along
            Encodings (L, width), and which of them each edge runs along, (E,).
        """
        normed = self.norm(atoms)
        asked = None if self.receiver is None else (None, self.receiver(normed)[kept])
        size = (len(atoms), len(kept))
        sent = (self.sender(normed), None)
        received = self.propagate(edges, size=size, sent=sent, asked=asked, along=self.along(bonds)[along])
        return atoms[kept] + self._updated(normed, kept, received)

    def _updated(self, normed: Tensor, kept: Tensor, received: Tensor) -> Tensor:
        """Apply the update to what each receiver was, beside what it received; the first half is computed once."""
        first, activation, second = self.update_net
        of_own, of_received = first.get_parameter("weight").chunk(2, dim=1)
        own = nn.functional.linear(normed, of_own, first.get_parameter("bias"))
        return second(activation(own[kept] + nn.functional.linear(received, of_received)))

    def message(self, sent_j: Tensor, along: Tensor, asked_i: Tensor | None) -> Tensor:
        carried = sent_j + along
        message = nn.functional.silu(carried)
        return message if asked_i is None else torch.sigmoid(asked_i + carried) * message


class CategoryEmbedding(nn.Module):
    """Sum of one learnt vector per category, for features (F, n) giving (n, width)."""

    def __init__(self, sizes: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.starts: Tensor
        starts = [sum(sizes[:place]) for place in range(len(sizes))]
        self.register_buffer("starts", torch.tensor(starts)[:, None], persistent=False)
        self.table = nn.Embedding(sum(sizes), width)

    def forward(self, features: Tensor) -> Tensor:
        return self.table(features + self.starts).sum(0)


def charges(topology: Topology, increments: Tensor) -> Tensor:
    """Add bond charge increments to the formal charges, (N,) e.

    What one end of a bond gains the other loses, so each molecule's charges sum to its formal
    charge whatever the increments are.
    """
    moved = topology.formal_charges.to(increments.dtype).index_add(0, topology.bonds[0], increments)
    return moved.index_add(0, topology.bonds[1], -increments)


def combine(
    radius: Tensor, depth: Tensor, softness: Tensor, donor: Tensor, acceptor: Tensor, pairs: Tensor
) -> tuple[Tensor, Tensor]:
    r"""Combine van der Waals parameters of atoms (N,) into those of pairs (P,), by the rules of MMFF94.

    The radius leans to the larger atom unless one of the two is a donor. The depth is that of Slater and
    Kirkwood, :math:`\epsilon_{ij} \propto a_i a_j / (s_i + s_j) / R_{ij}^6`, in terms of the depth between two equal
    atoms and of the softness :math:`s = (\alpha/N)^{1/2}`. A hydrogen bond brings donor and acceptor closer.
    Where MMFF94 has flags, the tendencies here are learnt, between 0 and 1.

    References
    ----------
    Halgren, J. Am. Chem. Soc. 114, 7827 (1992).
    """
    i, j = pairs
    total = radius[i] + radius[j]
    asymmetry = (radius[i] - radius[j]) / total
    leaning = 0.2 * (1 - donor[i]) * (1 - donor[j])
    pair_radius = total / 2 * (1 + leaning * (1 - torch.exp(-12 * asymmetry.square())))
    mean_softness = 2 * (softness[i] * softness[j]).sqrt() / (softness[i] + softness[j])
    pair_depth = (depth[i] * depth[j]).sqrt() * mean_softness * (radius[i] * radius[j]) ** 3 / pair_radius**6
    bonding = 1 - (1 - donor[i] * acceptor[j]) * (1 - acceptor[i] * donor[j])
    return pair_radius * (1 - 0.2 * bonding), pair_depth * (1 - 0.5 * bonding)
