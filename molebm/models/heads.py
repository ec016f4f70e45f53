"""From atom and bond encodings to the parameters of a term, with the term's own symmetry."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn


class SlotHead(nn.Module):
    """A two-layer network over several encodings (n, width), each in its own slot."""

    def __init__(self, width: int, *, hidden: int, n_slots: int, n_outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(n_slots * width, hidden)
        self.out = nn.Linear(hidden, n_outputs)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, *slots: Tensor) -> Tensor:
        return self.out(nn.functional.silu(self.hidden(torch.cat(slots, dim=-1))))


class ReversibleHead(nn.Module):
    """Outputs for a chain of atoms that reads the same from either end.

    Even outputs do not change when the chain is reversed and odd ones change sign. Each atom is
    projected once for each place it can take in a chain, and the projections are then gathered,
    so the cost of a term is a sum of rows and one activation in each direction.
    """

    def __init__(self, width: int, *, hidden: int, n_atoms: int, n_bonds: int, n_even: int = 0, n_odd: int = 0) -> None:
        super().__init__()
        self.n_even = n_even
        self.atom_places = nn.ModuleList(nn.Linear(width, hidden, bias=place == 0) for place in range(n_atoms))
        self.bond_places = nn.ModuleList(nn.Linear(width, hidden, bias=False) for _ in range(n_bonds))
        self.out = nn.Linear(hidden, n_even + n_odd, bias=False)
        self.even_bias = nn.Parameter(torch.zeros(n_even))
        nn.init.zeros_(self.out.weight)

    def forward(self, atoms: Tensor, bonds: Tensor, atom_chain: Tensor, bond_chain: Tensor) -> Tensor:
        """Read encodings (N, width) and (B, width) along chains (n_atoms, T), (n_bonds, T); (T, outputs)."""
        at = [place(atoms) for place in self.atom_places]
        along = [place(bonds) for place in self.bond_places]
        there = self._read(at, atom_chain) + self._read(along, bond_chain)
        back = self._read(at, atom_chain.flip(0)) + self._read(along, bond_chain.flip(0))
        forward, backward = nn.functional.silu(there), nn.functional.silu(back)
        weight_even, weight_odd = self.out.weight[: self.n_even], self.out.weight[self.n_even :]
        even = nn.functional.linear(forward + backward, weight_even, self.even_bias)
        odd = nn.functional.linear(forward - backward, weight_odd)
        return torch.cat([even, odd], dim=-1)

    @staticmethod
    def _read(places: list[Tensor], chain: Tensor) -> Tensor:
        return functools.reduce(torch.add, (place[row] for place, row in zip(places, chain, strict=True)))
