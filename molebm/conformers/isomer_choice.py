"""Which stereoisomers of a molecule are searched, where it leaves stereochemistry open."""

from __future__ import annotations

from typing import Final

import torch
from rdkit import Chem
from torch import Generator

from molebm.chem.isomers import open_stereo, stereoisomers
from molebm.conformers.molecule_search import start_of
from molebm.conformers.search import random_starts
from molebm.conformers.settings import GenerationSettings
from molebm.conformers.validity import is_connected
from molebm.errors import EmbeddingError
from molebm.forcefield.mechanics import Backend
from molebm.parametrise import Parametrise
from molebm.samplers.engines import make_engine

MOST: Final = 64  # isomers of one record that are enumerated
FOLDED: Final = 16  # structures that are folded without regard to stereo
RELAXED: Final = 300  # energy evaluations for each of them
STRAIN: Final = 20.0  # kcal/mol above the lowest of them, beyond which an isomer is too strained to be meant


def every_isomer(mol: Chem.Mol, settings: GenerationSettings) -> list[Chem.Mol]:
    """Declare what is open in every way."""
    return stereoisomers(mol, MOST, seed=settings.seed)


def sampled_isomer(
    mol: Chem.Mol, seed: int, backend: Backend, settings: GenerationSettings, parametrise: Parametrise
) -> Chem.Mol:
    """Declare what is open as one of a few random structures has it that are not too strained.

    Of the ways to declare a cage few can exist, and folding finds them.

    Raises
    ------
    MoleculeError
        If the molecule has no parameters, or nothing that was folded kept its bonds.
    TimeLimitError
        If it takes too long.
    """
    if not open_stereo(mol):
        return mol
    start = start_of(mol, seed, settings, parametrise)
    engine = make_engine(start.topology, start.parameters, backend, settings.time_limit)
    generator = Generator().manual_seed(seed)
    folded = random_starts(engine, start.topology, start.parameters, FOLDED, [generator])
    relaxed = engine.relax(folded, force_tolerance=1.0, max_steps=RELAXED)
    whole = is_connected(start.topology, start.parameters.bond_length, relaxed.positions, relaxed.energy)
    energies = torch.where(whole, relaxed.energy, torch.inf)[0]
    if not whole.any():
        raise EmbeddingError("no structure could be folded for this molecule; declare its stereochemistry")
    likely = (energies <= energies.min() + STRAIN).nonzero().flatten()
    chosen = int(likely[torch.randint(len(likely), (), generator=generator)])
    return _declared_from(mol, relaxed.positions[..., chosen])


def _declared_from(mol: Chem.Mol, positions: torch.Tensor) -> Chem.Mol:
    """Declare what is open as coordinates (3, N) have it."""
    isomer = Chem.Mol(mol)
    isomer.RemoveAllConformers()
    conformer = Chem.Conformer(mol.GetNumAtoms())
    conformer.SetPositions(positions.T.double().cpu().contiguous().numpy())
    isomer.AddConformer(conformer)
    Chem.AssignStereochemistryFrom3D(isomer, replaceExistingTags=False)
    isomer.RemoveAllConformers()
    return isomer
