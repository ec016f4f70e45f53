"""From an RDKit molecule with explicit hydrogens to the topology that the kernel reads."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from rdkit import Chem
from torch import Tensor

from molebm.chem.features import atom_features, bond_features
from molebm.chem.stereo import declared_centres, declared_double_bonds
from molebm.chem.walking import atoms_of, bonds_of
from molebm.errors import MoleculeError
from molebm.topology import ATOM_FEATURE_SIZES, BOND_FEATURE_SIZES, Topology

# The bonds about which MMFF94 in RDKit counts torsions: no triple bond at either end, no terminal atom.
_ROTATABLE = Chem.MolFromSmarts("[!$(*#*)&!D1]~[!$(*#*)&!D1]")
_TORSION_ENDS = frozenset((Chem.HybridizationType.SP2, Chem.HybridizationType.SP3))


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
    atoms, mol_bonds = atoms_of(mol), bonds_of(mol)
    bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol_bonds]
    near = _neighbours(n_atoms, bonds)
    angles = [(i, j, k) for j in range(n_atoms) for i, k in combinations(near[j], 2)]
    torsions = _torsions(mol, atoms, near)
    centres = declared_centres(mol)
    double_bonds = declared_double_bonds(mol)
    impropers = [(ends[0], j, ends[1], ends[2]) for j, ends in enumerate(near) if len(ends) == 3]
    first, second = np.nonzero(np.triu(distances >= 3))
    bond_of = np.zeros((n_atoms, n_atoms), dtype=np.int64)
    if bonds:
        ends = np.array(bonds).T
        bond_of[ends[0], ends[1]] = bond_of[ends[1], ends[0]] = np.arange(len(bonds))

    def bonds_along(paths: Tensor) -> Tensor:
        rows = paths.numpy()
        return torch.from_numpy(bond_of[rows[:-1], rows[1:]])

    angle_table, torsion_table = _table(angles, 3), _table(torsions, 4)

    return Topology(
        atomic_numbers=torch.tensor([a.GetAtomicNum() for a in atoms]),
        formal_charges=torch.tensor([a.GetFormalCharge() for a in atoms]),
        atom_features=_table([atom_features(a, rings) for a in atoms], len(ATOM_FEATURE_SIZES)),
        molecule=torch.zeros(n_atoms, dtype=torch.int64),
        bonds=_table(bonds, 2),
        bond_features=_table([bond_features(b, rings) for b in mol_bonds], len(BOND_FEATURE_SIZES)),
        angles=angle_table,
        angle_bonds=bonds_along(angle_table),
        torsions=torsion_table,
        torsion_bonds=bonds_along(torsion_table),
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


def _neighbours(n_atoms: int, bonds: list[tuple[int, int]]) -> list[list[int]]:
    """List the neighbours of each atom in order."""
    near: list[list[int]] = [[] for _ in range(n_atoms)]
    for i, j in bonds:
        near[i].append(j)
        near[j].append(i)
    return [sorted(ends) for ends in near]


def _torsions(mol: Chem.Mol, atoms: list[Chem.Atom], near: list[list[int]]) -> list[tuple[int, int, int, int]]:
    found = []
    ends = {atom.GetIdx() for atom in atoms if atom.GetHybridization() in _TORSION_ENDS}
    for j, k in mol.GetSubstructMatches(_ROTATABLE, maxMatches=max(1, 4 * mol.GetNumBonds())):
        if j in ends and k in ends:
            found += [(i, j, k, m) for i in near[j] for m in near[k] if k != i != m != j]
    return found


def _table(rows: list, width: int) -> Tensor:
    """Turn a list of index tuples, possibly empty, into (width, n) int64."""
    return torch.from_numpy(np.array(rows, dtype=np.int64).reshape(-1, width).T.copy())
