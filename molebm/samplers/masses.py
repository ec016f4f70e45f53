"""Masses of the atoms, as nature has them or moved towards the hydrogens."""

from typing import Final

import torch
from torch import Tensor

from molebm.errors import MoleculeError, RequestError
from molebm.topology import Topology

# Standard atomic weights of H to I in amu, abridged (IUPAC 2021); 97 for technetium, which has none.
# fmt: off
STANDARD_ATOMIC_WEIGHTS: Final = (
    1.008, 4.0026,
    6.94, 9.0122, 10.81, 12.011, 14.007, 15.999, 18.998, 20.180,
    22.990, 24.305, 26.982, 28.085, 30.974, 32.06, 35.45, 39.95,
    39.098, 40.078, 44.956, 47.867, 50.942, 51.996, 54.938, 55.845, 58.933,
    58.693, 63.546, 65.38, 69.723, 72.630, 74.922, 78.971, 79.904, 83.798,
    85.468, 87.62, 88.906, 91.224, 92.906, 95.95, 97.0, 101.07, 102.91,
    106.42, 107.87, 112.41, 114.82, 118.71, 121.76, 127.60, 126.90,
)
# fmt: on
HYDROGEN: Final = 1


def atomic_masses(topology: Topology) -> Tensor:
    """Look up the standard atomic weight of each atom, (N,) amu.

    Raises
    ------
    MoleculeError
        If an atom is not one of the elements hydrogen to iodine.
    """
    z = topology.atomic_numbers
    unknown = (z < 1) | (z > len(STANDARD_ATOMIC_WEIGHTS))
    if bool(unknown.any()):
        atom = int(unknown.nonzero()[0])
        raise MoleculeError(
            f"atom {atom} has atomic number {int(z[atom])}, and masses are known for 1 (H) to "
            f"{len(STANDARD_ATOMIC_WEIGHTS)} (I): pass masses of your own"
        )
    return torch.tensor(STANDARD_ATOMIC_WEIGHTS, device=z.device)[z - 1]


def repartition_hydrogen_mass(topology: Topology, hydrogen_mass: float = 3.0) -> Tensor:
    """Make hydrogens heavier at the expense of the atoms that carry them, (N,) amu.

    The total mass of each molecule is kept, and so is every configurational average, for masses do not enter
    exp(-E/kT); the fastest vibrations slow down, which allows a longer time step. A hydrogen bonded to
    several heavy atoms takes from each an equal share; one bonded to none is left as it is.

    Raises
    ------
    MoleculeError
        If an atom is not one of the elements hydrogen to iodine.
    RequestError
        If a heavy atom would be left with less than 1 amu.

    References
    ----------
    Feenstra, Hess and Berendsen, J. Comput. Chem. 20, 786 (1999).
    """
    masses = atomic_masses(topology)
    is_hydrogen = topology.atomic_numbers == HYDROGEN
    ends = torch.cat([topology.bonds, topology.bonds.flip(0)], dim=1)  # (2, 2B), each bond both ways
    hydrogen, heavy = ends[:, is_hydrogen[ends[0]] & ~is_hydrogen[ends[1]]]  # (H,) each
    carriers = torch.bincount(hydrogen, minlength=topology.n_atoms)  # (N,) heavy neighbours of each hydrogen
    share = (hydrogen_mass - masses[hydrogen]) / carriers[hydrogen]  # (H,) amu
    masses = masses.index_add(0, hydrogen, share).index_add(0, heavy, -share)
    lightest = int(masses.argmin())
    if float(masses[lightest]) < 1:
        raise RequestError(
            f"hydrogens of {hydrogen_mass} amu would leave atom {lightest} (atomic number "
            f"{int(topology.atomic_numbers[lightest])}) with {float(masses[lightest]):.2f} amu: ask for less"
        )
    return masses
