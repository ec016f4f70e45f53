"""Where the network starts from: sizes and shapes that elements and hybridisation already tell.

Nothing here is fitted. Covalent radii: Pyykkö and Atsumi, Chem. Eur. J. 15, 186 (2009); van der
Waals radii: Alvarez, Dalton Trans. 42, 8617 (2013). Electronegativities: Pauling's scale, Allred, J. Inorg.
Nucl. Chem. 17, 215 (1961).
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from molebm.topology import Topology

BOND_K: Final = 700.0  # kcal/mol/Å²
ANGLE_K: Final = 100.0  # kcal/mol/rad²
STRETCH_BEND_K: Final = 200.0  # kcal/mol/Å/rad, the bound
TORSION_V: Final = 15.0  # kcal/mol, the bound
IMPROPER_K: Final = 40.0  # kcal/mol/rad², the bound either way: some of MMFF94's are negative
WELL_DEPTH: Final = 0.05  # kcal/mol

# In the order of the element categories: H C N O F Si P S Cl Br I, other.
_COVALENT: Final = (0.32, 0.75, 0.71, 0.63, 0.64, 1.16, 1.11, 1.03, 0.99, 1.14, 1.33, 1.20)
_VAN_DER_WAALS: Final = (1.20, 1.77, 1.66, 1.50, 1.46, 2.19, 1.90, 1.89, 1.82, 1.86, 2.04, 2.00)
_ELECTRONEGATIVITY: Final = (2.20, 2.55, 3.04, 3.44, 3.98, 1.90, 2.19, 2.58, 3.16, 2.96, 2.66, 2.50)
_SHORTENING: Final = (1.0, 0.89, 0.80, 0.93, 1.0)  # by bond type: single, double, triple, aromatic, other
_THETA: Final = (109.5, 180.0, 120.0, 109.5, 109.5)  # by hybridisation of the centre: s, sp, sp2, sp3, other

_ELEMENT, _HYBRIDISATION, _BOND_TYPE, _SP = 0, 2, 0, 1


def bond_length(topology: Topology) -> Tensor:
    """Sum of covalent radii, shortened by bond type; (B,) Å."""
    radii = _look_up(_COVALENT, topology.atom_features[_ELEMENT])[topology.bonds].sum(0)
    return radii * _look_up(_SHORTENING, topology.bond_features[_BOND_TYPE])


def angle_theta(topology: Topology) -> Tensor:
    """Ideal angle of the centre's hybridisation; (A,) rad."""
    return _look_up(_THETA, topology.atom_features[_HYBRIDISATION][topology.angles[1]]) * (math.pi / 180)


def is_linear(topology: Topology) -> Tensor:
    """Whether the centre of each angle is sp hybridised; (A,) bool."""
    return topology.atom_features[_HYBRIDISATION][topology.angles[1]] == _SP


def charge_increment(topology: Topology) -> Tensor:
    """What the first atom of a bond gains from the second by the difference of electronegativities; (B,) e.

    It breaks a symmetry: with no charges at all, a neutral molecule has no gradient that would make any.
    """
    first, second = _look_up(_ELECTRONEGATIVITY, topology.atom_features[_ELEMENT])[topology.bonds]
    return 0.3 * (second - first)


def radius(topology: Topology) -> Tensor:
    """Distance of the van der Waals minimum between two atoms of a kind; (N,) Å."""
    return 2.2 * _look_up(_VAN_DER_WAALS, topology.atom_features[_ELEMENT])


def _look_up(table: tuple[float, ...], category: Tensor) -> Tensor:
    return torch.tensor(table, device=category.device)[category]
