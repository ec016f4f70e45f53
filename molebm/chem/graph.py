"""From an RDKit molecule with explicit hydrogens to the topology that the kernel reads."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from rdkit import Chem
from torch import Tensor

from molebm.chem.features import atom_features, bond_features
from molebm.chem.stereo import declared_centres, declared_double_bonds
from molebm.errors import MoleculeError
from molebm.topology import ATOM_FEATURE_SIZES, BOND_FEATURE_SIZES, Topology

# The bonds about which MMFF94 in RDKit counts torsions: no triple bond at either end, no terminal atom.
_ROTATABLE = Chem.MolFromSmarts("[!$(*#*)&!D1]~[!$(*#*)&!D1]")
_TORSION_ENDS = (Chem.HybridizationType.SP2, Chem.HybridizationType.SP3)


def topology_from_mol(mol: Chem.Mol) -> Topology:
    """Enumerate the terms of one molecule; hydrogens must be explicit.

    Raises
    ------
    MoleculeError
        If the molecule has no atoms or is not one connected fragment.
    """
    n_atoms = mol.GetNumAtoms()
    if n_atoms == 0:
        raise MoleculeError("the molecule has no atoms; give a structure with at least one")
    distances = Chem.GetDistanceMatrix(mol).astype(np.int64)
    if distances.max(initial=0) >= n_atoms:
        raise MoleculeError(
            f"{Chem.MolToSmiles(mol)!r} has several fragments; keep one of them (drop salts and solvent)"
        )

    rings = mol.GetRingInfo()
    bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds()]
    bond_index = {frozenset(pair): index for index, pair in enumerate(bonds)}
    angles = [(i, a.GetIdx(), k) for a in mol.GetAtoms() for i, k in combinations(_neighbours(a), 2)]
    torsions = _torsions(mol)
    centres = declared_centres(mol)
    double_bonds = declared_double_bonds(mol)
    impropers = [(near[0], a.GetIdx(), near[1], near[2]) for a in mol.GetAtoms() if len(near := _neighbours(a)) == 3]
    first, second = np.nonzero(np.triu(distances >= 3))

    def bonds_along(path: tuple[int, ...]) -> list[int]:
        return [bond_index[frozenset(step)] for step in zip(path, path[1:], strict=False)]

    return Topology(
        atomic_numbers=torch.tensor([a.GetAtomicNum() for a in mol.GetAtoms()]),
        formal_charges=torch.tensor([a.GetFormalCharge() for a in mol.GetAtoms()]),
        atom_features=_table([atom_features(a, rings) for a in mol.GetAtoms()], len(ATOM_FEATURE_SIZES)),
        molecule=torch.zeros(n_atoms, dtype=torch.int64),
        bonds=_table(bonds, 2),
        bond_features=_table([bond_features(b, rings) for b in mol.GetBonds()], len(BOND_FEATURE_SIZES)),
        angles=_table(angles, 3),
        angle_bonds=_table([bonds_along(a) for a in angles], 2),
        torsions=_table(torsions, 4),
        torsion_bonds=_table([bonds_along(t) for t in torsions], 3),
        impropers=_table(impropers, 4),
        pairs=torch.from_numpy(np.stack([first, second])),
        pairs_14=torch.from_numpy(distances[first, second] == 3),
        stereo_centres=_table([atoms for atoms, _ in centres], 4),
        stereo_signs=torch.tensor([sign for _, sign in centres], dtype=torch.int64),
        stereo_bonds=_table([atoms for atoms, _ in double_bonds], 4),
        stereo_cis=torch.tensor([cis for _, cis in double_bonds], dtype=torch.bool),
    )


def positions_from_mol(mol: Chem.Mol, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the coordinates of all conformers of a molecule, (3, N, C) Å."""
    frames = [conformer.GetPositions() for conformer in mol.GetConformers()]
    if not frames:
        return torch.empty((3, mol.GetNumAtoms(), 0), dtype=dtype)
    return torch.from_numpy(np.stack(frames, axis=-1)).permute(1, 0, 2).to(dtype).contiguous()


def _neighbours(atom: Chem.Atom) -> list[int]:
    return sorted(n.GetIdx() for n in atom.GetNeighbors())


def _torsions(mol: Chem.Mol) -> list[tuple[int, int, int, int]]:
    found = []
    for j, k in mol.GetSubstructMatches(_ROTATABLE, maxMatches=max(1, 4 * mol.GetNumBonds())):
        ends = (mol.GetAtomWithIdx(j), mol.GetAtomWithIdx(k))
        if all(end.GetHybridization() in _TORSION_ENDS for end in ends):
            found += [(i, j, k, m) for i in _neighbours(ends[0]) for m in _neighbours(ends[1]) if k != i != m != j]
    return found


def _table(rows: list, width: int) -> Tensor:
    """Turn a list of index tuples, possibly empty, into (width, n) int64."""
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, width).T.contiguous()
