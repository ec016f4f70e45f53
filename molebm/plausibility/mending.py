"""Ways to make a structure sounder, from the mildest to one that takes it apart in four dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import numpy as np
import torch
from rdkit import Chem
from rdkit.Chem import rdMolAlign
from torch import Tensor

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.forcefield.parameters import Parameters, in_medium
from molebm.parametrise import Parametrise
from molebm.plausibility.identity import as_seen, changes, meant
from molebm.plausibility.structures import Structure
from molebm.samplers.engines import make_engine
from molebm.topology import Topology

Environment = Literal["bound", "vacuum"]

TETHER: Final = 1.0  # kcal/mol/Å², of each heavy atom to where it was given
FORCE_TOLERANCE: Final = 0.1  # kcal/mol/Å
MAX_STEPS: Final = 1000  # energy evaluations
N_FOLDS: Final = 32
SHAKEN: Final = (1.0, 5.0)  # Å, by how much atoms are moved at most: in space, and out of it in the fourth dimension


class Energy(NamedTuple):
    """Where the parameters of structures come from."""

    parametrise: Parametrise
    environment: Environment

    def of(self, mol: Chem.Mol) -> tuple[Topology, Parameters]:
        """Return the terms of a molecule and their parameters in the environment."""
        topology = topology_from_mol(mol)
        parameters = self.parametrise([mol], topology)
        if self.environment == "bound":
            parameters = in_medium(parameters)
        return topology, parameters


class Case(NamedTuple):
    """A structure to be mended, with the energy that it is mended in."""

    structure: Structure
    energy: Energy
    topology: Topology
    parameters: Parameters
    seconds: float  # that each step may take
    seed: int


class Mended(NamedTuple):
    """A structure with other coordinates."""

    mol: Chem.Mol
    faults: list[str]  # why it is not the molecule it should be; empty where it is


Step = Callable[[Case, Chem.Mol], Chem.Mol]
"""Takes the molecule from the coordinates it has now to sounder ones; raises TimeLimitError when the time is up."""


def open_case(structure: Structure, energy: Energy, seconds: float, seed: int) -> Case:
    """Look up the energy of a structure.

    Raises
    ------
    MoleculeError
        If it has no parameters.
    """
    return Case(structure, energy, *energy.of(structure.mol), seconds, seed)


def relax_hydrogens(case: Case, mol: Chem.Mol) -> Chem.Mol:
    """Relax the hydrogens, and hold the other atoms where they are."""
    return _relaxed(case, mol, heavy=torch.inf)


def relax_tethered(case: Case, mol: Chem.Mol) -> Chem.Mol:
    """Relax all atoms, with a weak spring from each heavy one to where it is."""
    return _in_place(_relaxed(case, mol, heavy=TETHER), case.structure.mol)


def relax_freely(case: Case, mol: Chem.Mol) -> Chem.Mol:
    """Relax all atoms."""
    return _in_place(_relaxed(case, mol, heavy=0.0), case.structure.mol)


def refold(case: Case, mol: Chem.Mol) -> Chem.Mol:
    """Fold the given structure into the declared stereo through the fourth dimension, where atoms pass one another.

    Of several ways to do so, each shaken more than the last, it takes one that ends whole, nearest to what is given.

    Raises
    ------
    MoleculeError
        If the declared SMILES is of another molecule.

    References
    ----------
    Crippen and Havel, Distance Geometry and Molecular Conformation, Research Studies Press (1988).
    """
    target = meant(case.structure)
    topology, parameters = case.energy.of(target)
    centre, x = _centred(case.structure.mol)
    generator = torch.Generator().manual_seed(case.seed)
    noise = torch.randn((4, x.shape[1], N_FOLDS), generator=generator) * torch.linspace(1 / N_FOLDS, 1, N_FOLDS)
    in_space, out_of_it = SHAKEN
    starts = torch.cat([x.float() + in_space * noise[:3], out_of_it * noise[3:]])
    engine = make_engine(topology, parameters, "auto", case.seconds)
    folded = engine.embed(starts, flat=False).positions
    ends = engine.relax(folded, force_tolerance=FORCE_TOLERANCE, max_steps=MAX_STEPS).positions.double()
    found = [_in_place(_with_positions(case.structure, x + centre), case.structure.mol) for x in ends.split(1, dim=2)]
    whole = [one for one in found if not changes(case.structure, one, case.parameters.bond_length)]
    return min(whole or found, key=lambda one: heavy_rmsd(one, case.structure.mol))


def mended(case: Case, step: Step, mol: Chem.Mol) -> Mended:
    """Take a step, and look whether the molecule is still the one it should be."""
    after = step(case, mol)
    return Mended(after, changes(case.structure, after, case.parameters.bond_length))


def heavy_rmsd(mol: Chem.Mol, other: Chem.Mol) -> float:
    """RMSD of the heavy atoms in the best superposition, Å to four digits; atoms keep their order."""
    return round(float(rdMolAlign.AlignMol(Chem.Mol(mol), other, atomMap=_heavy_pairs(mol))), 4)


def _relaxed(case: Case, mol: Chem.Mol, heavy: float) -> Chem.Mol:
    centre, x = _centred(mol)
    tether = torch.where(case.topology.atomic_numbers == 1, 0.0, heavy)
    engine = make_engine(case.topology, case.parameters, "auto", case.seconds)
    found = engine.relax(x.float(), force_tolerance=FORCE_TOLERANCE, max_steps=MAX_STEPS, tether=tether).positions
    held = tether.isinf()[:, None]  # which stay where they were to the last digit
    return _with_positions(case.structure, torch.where(held, _positions(mol), centre + found.double()))


def _centred(mol: Chem.Mol) -> tuple[Tensor, Tensor]:
    """The centre of the atoms, (3, 1, 1) Å, and where they are about it, (3, N, 1) Å."""
    x = _positions(mol)
    centre = x.mean(1, keepdim=True)
    return centre, x - centre


def _positions(mol: Chem.Mol) -> Tensor:
    return positions_from_mol(mol, torch.float64)[:, :, :1]


def _with_positions(structure: Structure, positions: Tensor) -> Chem.Mol:
    """Copy the molecule with positions (3, N, 1) Å, and read its stereo from them where a SMILES declares it."""
    mol = Chem.Mol(structure.mol)
    mol.GetConformer().SetPositions(np.ascontiguousarray(positions[:, :, 0].T.numpy()))
    return mol if structure.declared is None else as_seen(mol)


def _in_place(mol: Chem.Mol, given: Chem.Mol) -> Chem.Mol:
    """Lay the molecule on what was given, as well as the heavy atoms allow."""
    if np.isfinite(mol.GetConformer().GetPositions()).all():
        rdMolAlign.AlignMol(mol, given, atomMap=_heavy_pairs(mol))
    return mol


def _heavy_pairs(mol: Chem.Mol) -> list[tuple[int, int]]:
    heavy = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]
    return [(atom, atom) for atom in heavy or range(mol.GetNumAtoms())]
