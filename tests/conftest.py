"""What all tests share: one thread, the example drugs, and no GPU tests without a GPU."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from molebm.topology import Topology

REPOSITORY = Path(__file__).resolve().parents[1]

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def drugs() -> dict[str, str]:
    """SMILES of the example drugs by name."""
    lines = (REPOSITORY / "data" / "drugs.smi").read_text(encoding="utf-8").splitlines()
    fields = [line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#")]
    return {name.strip(): smiles for smiles, name in fields}


@pytest.fixture
def make_topology() -> Callable[..., Topology]:
    """Build a topology with the given number of atoms in each molecule, and no terms."""

    def make(
        *atoms_per_molecule: int,
        atomic_numbers: Sequence[int] | None = None,
        bonds: Sequence[tuple[int, int]] = (),
    ) -> Topology:
        n_atoms, n_bonds = sum(atoms_per_molecule), len(bonds)
        none = torch.zeros(0, dtype=torch.int64)
        counts = torch.tensor(atoms_per_molecule)
        return Topology(
            atomic_numbers=torch.tensor(atomic_numbers or [6] * n_atoms),
            formal_charges=torch.zeros(n_atoms, dtype=torch.int64),
            atom_features=torch.zeros(0, n_atoms, dtype=torch.int64),
            molecule=torch.arange(len(counts)).repeat_interleave(counts),
            bonds=torch.tensor(bonds, dtype=torch.int64).reshape(n_bonds, 2).T,
            bond_features=torch.zeros(3, n_bonds, dtype=torch.int64),  # single
            angles=none.view(3, 0),
            angle_bonds=none.view(2, 0),
            torsions=none.view(4, 0),
            torsion_bonds=none.view(3, 0),
            impropers=none.view(4, 0),
            pairs=none.view(2, 0),
            pairs_14=none.bool(),
            stereo_centres=none.view(4, 0),
            stereo_signs=none,
            stereo_bonds=none.view(4, 0),
            stereo_cis=none.bool(),
            n_molecules=len(counts),
        )

    return make
