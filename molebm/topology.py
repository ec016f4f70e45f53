"""What does not move: atoms, bonds, the terms they span and the stereo that was declared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

import torch
from torch import Tensor

ELEMENTS: Final = (1, 6, 7, 8, 9, 14, 15, 16, 17, 35, 53)
"""Atomic numbers molebm knows: H C N O F Si P S Cl Br I."""

ATOM_FEATURE_SIZES: Final = (len(ELEMENTS) + 1, 5, 5, 7, 5, 2, 9, 4)
"""Categories of element, formal charge, hybridisation, degree, hydrogens, aromaticity, smallest ring, rings."""

BOND_FEATURE_SIZES: Final = (5, 2, 9)
"""Categories of bond type, conjugation, smallest ring."""

ATOM, BOND, MOLECULE = "atom", "bond", "molecule"


def _column(along: str, *, refers_to: str | None = None) -> Any:
    """Declare a tensor by the field whose columns it shares and by what its values refer to."""
    return field(metadata={"along": along, "refers_to": refers_to})


@dataclass(frozen=True, slots=True)
class Topology:
    """The chemistry of G molecules, concatenated along their atoms.

    Coordinates travel beside it, so one topology serves a whole trajectory and a sampler can
    never edit a bond by accident. Every tensor is concatenated along its last axis.
    """

    atomic_numbers: Tensor = _column("molecule")  # (N,) int64
    formal_charges: Tensor = _column("molecule")  # (N,) int64, e
    atom_features: Tensor = _column("molecule")  # (F, N) int64, see ATOM_FEATURE_SIZES
    molecule: Tensor = _column("molecule", refers_to=MOLECULE)  # (N,) int64, molecule of each atom, sorted
    bonds: Tensor = _column("bonds", refers_to=ATOM)  # (2, B) int64
    bond_features: Tensor = _column("bonds")  # (F', B) int64, see BOND_FEATURE_SIZES
    angles: Tensor = _column("angles", refers_to=ATOM)  # (3, A) int64, the centre in row 1
    angle_bonds: Tensor = _column("angles", refers_to=BOND)  # (2, A) int64, bonds 0-1 and 1-2 of each angle
    torsions: Tensor = _column("torsions", refers_to=ATOM)  # (4, T) int64, about the bond 1-2
    torsion_bonds: Tensor = _column("torsions", refers_to=BOND)  # (3, T) int64, bonds 0-1, 1-2 and 2-3
    impropers: Tensor = _column("impropers", refers_to=ATOM)  # (4, O) int64, the trigonal centre in row 1
    pairs: Tensor = _column("pairs", refers_to=ATOM)  # (2, P) int64, three or more bonds apart
    pairs_14: Tensor = _column("pairs")  # (P,) bool, exactly three bonds apart
    stereo_centres: Tensor = _column("stereo_centres", refers_to=ATOM)  # (4, S) int64, the centre and three neighbours
    stereo_signs: Tensor = _column("stereo_centres")  # (S,) int64, sign of the neighbours' triple product
    stereo_bonds: Tensor = _column("stereo_bonds", refers_to=ATOM)  # (4, D) int64, substituents about the bond 1=2
    stereo_cis: Tensor = _column("stereo_bonds")  # (D,) bool, whether 0 and 3 lie on the same side
    n_molecules: int = 1  # G; carried, never recovered from molecule.max()

    @property
    def n_atoms(self) -> int:
        return self.atomic_numbers.shape[0]

    @property
    def device(self) -> torch.device:
        return self.atomic_numbers.device

    def sum_atoms(self, per_atom: Tensor) -> Tensor:
        """Sum (N, ...) over the atoms of each molecule, giving (G, ...)."""
        total = per_atom.new_zeros((self.n_molecules, *per_atom.shape[1:]))
        return total.index_add(0, self.molecule, per_atom)

    def molecule_of(self, terms: str) -> Tensor:
        """Return the molecule of each column of the index list named `terms`, (T,) int64."""
        return self.molecule if terms == "molecule" else self.molecule[getattr(self, terms)[0]]

    def atoms_per_molecule(self) -> Tensor:
        """Count the atoms of each molecule, (G,) int64."""
        return torch.bincount(self.molecule, minlength=self.n_molecules)

    def to(self, device: torch.device | str) -> Topology:
        """Return the same topology with its tensors on `device`."""
        return Topology(
            **{name: value.to(device) for name, value in self.tensors().items()}, n_molecules=self.n_molecules
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by field name, as stored in data shards."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "n_molecules"}


def concatenate(topologies: Sequence[Topology]) -> Topology:
    """Join topologies into one, in order, shifting what their index lists refer to."""
    shift = {
        ATOM: _starts([t.n_atoms for t in topologies]),
        BOND: _starts([t.bonds.shape[1] for t in topologies]),
        MOLECULE: _starts([t.n_molecules for t in topologies]),
    }
    joined = {}
    for column in fields(Topology):
        if column.name == "n_molecules":
            continue
        parts = [getattr(t, column.name) for t in topologies]
        refers_to = column.metadata["refers_to"]
        if refers_to is not None:
            parts = [part + start for part, start in zip(parts, shift[refers_to], strict=True)]
        joined[column.name] = torch.cat(parts, dim=-1)
    return Topology(**joined, n_molecules=sum(t.n_molecules for t in topologies))


def separate(topology: Topology) -> list[Topology]:
    """Take a concatenated topology apart into its molecules, in order."""
    pieces: list[dict[str, Tensor]] = [{} for _ in range(topology.n_molecules)]
    widths = {
        along: torch.bincount(topology.molecule_of(along), minlength=topology.n_molecules).tolist()
        for along in {column.metadata["along"] for column in fields(Topology) if column.name != "n_molecules"}
    }
    shift = {
        ATOM: _starts(widths["molecule"]),
        BOND: _starts(widths["bonds"]),
        MOLECULE: list(range(topology.n_molecules)),
    }
    for column in fields(Topology):
        if column.name == "n_molecules":
            continue
        parts = getattr(topology, column.name).split(widths[column.metadata["along"]], dim=-1)
        starts = shift.get(column.metadata["refers_to"], [0] * topology.n_molecules)
        for piece, part, start in zip(pieces, parts, starts, strict=True):
            piece[column.name] = part - start if start else part
    return [Topology(**piece, n_molecules=1) for piece in pieces]


def _starts(lengths: Sequence[int]) -> list[int]:
    starts, total = [], 0
    for length in lengths:
        starts.append(total)
        total += length
    return starts
