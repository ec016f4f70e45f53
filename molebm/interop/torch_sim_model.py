"""An energy of molebm as a model of torch-sim, for many molecules and conformers side by side."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import torch
from rdkit import Chem
from torch import Tensor

from molebm.errors import MoleculeError, RequestError
from molebm.forcefield.energy import EnergyFn, energy_and_forces
from molebm.interop.molecular_energy import energy_function, molecular_energy
from molebm.parametrise import LEARNED
from molebm.topology import Topology
from molebm.units import EV_PER_KCAL

DISTRIBUTION: Final = "torch-sim-atomistic"
SUPPORTED: Final = "0.3"
"""The version of torch-sim whose interface this is; the next one changes it."""

_CURE: Final = 'install it by pip install "molebm[interop]"'
try:
    if not version(DISTRIBUTION).startswith(f"{SUPPORTED}."):
        raise RequestError(f"torch-sim is {version(DISTRIBUTION)} and its interface here that of {SUPPORTED}; {_CURE}")
    from torch_sim.models.interface import ModelInterface
    from torch_sim.state import SimState
except PackageNotFoundError as error:
    raise RequestError(f"torch-sim is not installed; {_CURE}") from error

Elements = tuple[int, ...]


class MolebmModel(ModelInterface):
    """Energies and forces of molecules in vacuum, in eV and eV/Å; there are no stresses and cells are not looked at.

    Each system of a state is recognised by its elements in their order, so that torch-sim may batch and drop
    systems as it likes; all that are one molecule are evaluated at once.

    Parameters
    ----------
    mols
        One or several, with explicit hydrogens; coordinates are not used.
    energy, model
        As in `molecular_energy`; the residual of a model is evaluated.
    dtype
        float32 runs in C on the CPU.

    Raises
    ------
    RequestError
        If two different molecules have the same elements in the same order.
    MoleculeError, CheckpointError
        As `molecular_energy`.
    """

    def __init__(
        self,
        mols: Chem.Mol | Sequence[Chem.Mol],
        energy: str = LEARNED,
        model: str | Path | None = None,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self._device, self._dtype = torch.device(device), dtype
        self._compute_forces, self._compute_stress = True, False
        self._memory_scales_with = "n_atoms"
        self._energies: dict[Elements, EnergyFn] = {}
        known: dict[Elements, tuple[str, Topology]] = {}
        for mol in [mols] if isinstance(mols, Chem.Mol) else mols:
            found = molecular_energy(mol, energy, model)
            elements, smiles = tuple(found.topology.atomic_numbers.tolist()), Chem.MolToSmiles(mol)
            if elements in known and not _same(found.topology, known[elements][1]):
                raise RequestError(
                    f"{smiles!r} and {known[elements][0]!r} have the same elements in the same order and cannot be "
                    "told apart in a state; make a model for each"
                )
            if elements not in known:
                known[elements] = smiles, found.topology
                self._energies[elements] = energy_function(found, dtype, self._device)

    def forward(self, state: SimState | dict[str, Any], **kwargs: object) -> dict[str, Tensor]:
        """Evaluate G systems of N atoms in all, giving energy (G,) eV and forces (N, 3) eV/Å.

        Raises
        ------
        MoleculeError
            If a system is none of the molecules.
        """
        given = state if isinstance(state, SimState) else SimState(**state)
        sizes = given.n_atoms_per_system.tolist()
        energy = given.positions.new_zeros(len(sizes), dtype=self._dtype)
        forces = torch.zeros_like(given.positions, dtype=self._dtype)
        for elements, members in _grouped(given.atomic_numbers.tolist(), sizes).items():
            if elements not in self._energies:
                symbols = "".join(Chem.GetPeriodicTable().GetElementSymbol(number) for number in elements)
                raise MoleculeError(
                    f"system {members[0][0]}, {symbols}, is none of the model's molecules; name it, too"
                )
            systems, starts = torch.tensor(members, device=given.device).T
            atoms = starts + torch.arange(len(elements), device=given.device)[:, None]  # (n, C)
            x = given.positions.detach().to(self._dtype)[atoms]  # (n, C, 3)
            found = energy_and_forces(self._energies[elements], (x - x.mean(0)).permute(2, 0, 1).contiguous())
            energy[systems] = EV_PER_KCAL * found.energy[0]
            forces[atoms] = EV_PER_KCAL * found.forces.permute(1, 2, 0)
        return {"energy": energy, "forces": forces}


def _same(a: Topology, b: Topology) -> bool:
    ours, theirs = a.tensors(), b.tensors()
    return all(torch.equal(ours[name], theirs[name]) for name in ("bonds", "bond_features", "atom_features"))


def _grouped(numbers: list[int], sizes: list[int]) -> dict[Elements, list[tuple[int, int]]]:
    """Gather the systems that are one molecule, each with its place in the state and its first atom."""
    groups: dict[Elements, list[tuple[int, int]]] = {}
    start = 0
    for system, size in enumerate(sizes):
        groups.setdefault(tuple(numbers[start : start + size]), []).append((system, start))
        start += size
    return groups
