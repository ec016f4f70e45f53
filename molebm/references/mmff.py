"""MMFF94 and MMFF94s as a point of the kernel's parameter space, read through RDKit."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import starmap
from typing import Final

import torch
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers
from torch import Tensor

from molebm.errors import ForceFieldParameterError
from molebm.forcefield.parameters import Parameters
from molebm.topology import Topology
from molebm.units import MDYNE

_LINEAR_TYPES: Final = (4, 53, 61)  # MMFF types of sp centres, bent as k (1 + cos θ)


def mmff_parameters(mol: Chem.Mol, topology: Topology, variant: str = "MMFF94") -> Parameters:
    """Read the MMFF94 or MMFF94s parameters of one molecule, float64.

    Raises
    ------
    ForceFieldParameterError
        If RDKit cannot type every atom.

    References
    ----------
    Halgren, J. Comput. Chem. 17, 490 (1996); 20, 720 (1999) for MMFF94s.
    """
    properties = mmff_properties(mol, variant)
    types = [properties.GetMMFFAtomType(index) for index in range(mol.GetNumAtoms())]
    linear = [types[centre] in _LINEAR_TYPES for centre in topology.angles[1].tolist()]

    def read(call: Callable, rows: Tensor, width: int) -> Tensor:
        found = (call(mol, *atoms) or (0,) * (width + 1) for atoms in rows.T.tolist())
        return torch.tensor([values[1:] for values in found], dtype=torch.float64).reshape(-1, width).T

    bond_k, bond_length = read(properties.GetMMFFBondStretchParams, topology.bonds, 2)
    angle_k, angle_theta = read(properties.GetMMFFAngleBendParams, topology.angles, 2)
    angle_linear = torch.tensor(linear, dtype=torch.bool)
    stretch_bend = read(properties.GetMMFFStretchBendParams, topology.angles, 2)
    oop = [properties.GetMMFFOopBendParams(mol, *atoms) or 0.0 for atoms in topology.impropers.T.tolist()]
    pairs = list(starmap(properties.GetMMFFVdWParams, topology.pairs.T.tolist()))
    radius_depth = torch.tensor([p[2:] for p in pairs], dtype=torch.float64).reshape(-1, 2).T
    return Parameters(
        bond_k=MDYNE * bond_k,
        bond_length=bond_length,
        angle_k=MDYNE * angle_k,
        angle_theta=angle_theta * math.pi / 180,
        angle_linear=angle_linear,
        stretch_bend_k=MDYNE * stretch_bend.masked_fill(angle_linear, 0.0),
        torsion_v=read(properties.GetMMFFTorsionParams, topology.torsions, 3),
        improper_k=MDYNE * torch.tensor(oop, dtype=torch.float64),
        pair_radius=radius_depth[0],
        pair_depth=radius_depth[1],
        charge=torch.tensor(
            [properties.GetMMFFPartialCharge(index) for index in range(mol.GetNumAtoms())], dtype=torch.float64
        ),
    )


def mmff_properties(mol: Chem.Mol, variant: str = "MMFF94") -> rdForceFieldHelpers.MMFFMolProperties:
    """Type a molecule with explicit hydrogens, or say why it cannot be done."""
    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(mol, mmffVariant=variant)
    if properties is None:
        raise ForceFieldParameterError(
            f"{variant} cannot type every atom of {Chem.MolToSmiles(Chem.RemoveHs(mol))!r}; "
            "use the learned model, which needs no types, or leave this molecule out"
        )
    return properties
