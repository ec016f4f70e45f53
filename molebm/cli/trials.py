"""Small pieces of each job, done for real: what `molebm doctor` tries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from molebm.errors import MolebmError

SMILES: Final = "CC(=O)N[C@@H](C)C(=O)NC"  # alanine dipeptide
TOLERANCE: Final = 1e-3  # kcal/mol, of single precision


class TrialError(MolebmError, ValueError):
    """Something runs and its result is wrong."""


def kernel_is_mmff94(device: str) -> str:
    """Compare the kernel with RDKit's MMFF94 in one structure."""
    from rdkit import Chem
    from rdkit.Chem import rdDistGeom

    from molebm.chem.graph import positions_from_mol, topology_from_mol
    from molebm.forcefield.energy import energy_and_forces
    from molebm.forcefield.mechanics import MechanicalEnergy
    from molebm.parametrise import mmff
    from molebm.references.rdkit_mmff import rdkit_mmff

    mol = Chem.AddHs(Chem.MolFromSmiles(SMILES))
    rdDistGeom.EmbedMolecule(mol, randomSeed=1)
    topology, positions = topology_from_mol(mol).to(device), positions_from_mol(mol).to(device)
    ours = energy_and_forces(MechanicalEnergy(topology, mmff()([mol], topology)), positions)
    theirs = energy_and_forces(rdkit_mmff(mol), positions.cpu().double())
    off = abs(float(ours.energy) - float(theirs.energy))
    off_force = float((ours.forces.cpu() - theirs.forces).abs().max())
    if not (off <= TOLERANCE and off_force <= 100 * TOLERANCE):
        raise TrialError(f"energies differ by {off:.2g} kcal/mol, forces by {off_force:.2g} kcal/mol/Å")
    return f"within {off:.1e} kcal/mol of RDKit"


def generates(device: str) -> str:
    """Make a few conformers and check their weights."""
    from molebm.conformers import generate

    (mol,) = generate(SMILES, n_conformers=3, device=device)
    weights = [conformer.GetDoubleProp("boltzmann_weight") for conformer in mol.GetConformers()]
    if not abs(sum(weights) - 1) < 1e-6:
        raise TrialError(f"the Boltzmann weights {weights} do not sum to 1")
    return f"{len(weights)} conformers of alanine dipeptide"


def scores(device: str) -> str:
    """Score a conformer as it is, and with one atom pulled out of its place."""
    from molebm.conformers import generate
    from molebm.plausibility import score
    from molebm.plausibility.settings import ScoringSettings

    (mol,) = generate(SMILES, n_conformers=1, device=device)
    conformer = mol.GetConformer()
    broken = type(mol)(mol)
    positions = conformer.GetPositions()
    positions[1, 0] += 0.5  # Å
    broken.GetConformer().SetPositions(positions)
    table = score([mol, broken], settings=ScoringSettings(device=device))
    sound, pulled = table["score"]
    if not pulled > sound:
        raise TrialError(f"a broken structure scores {pulled:.3g} and a sound one {sound:.3g}")
    return f"{sound:.2f} as it is, {pulled:.2f} with an atom 0.5 Å off"


TRIALS: Final[Mapping[str, Callable[[str], str]]] = {
    "kernel is MMFF94": kernel_is_mmff94,
    "generate": generates,
    "score": scores,
}
