"""Relaxed conformers per second of molebm on a GPU, and what part of the device's speed that takes.

    python workflows/benchmarks/gpu_throughput.py prepare data/drugs.smi drugs.safetensors --molecules 300
    python workflows/benchmarks/gpu_throughput.py measure drugs.safetensors --conformers 50

`prepare` needs RDKit: it writes topologies, the parameters of the learned energy and a few embedded starts of each
molecule as tensors. `measure` needs none: it makes the conformers of these starts by shaking their atoms, and relaxes
them in batches. The arithmetic is counted on PyTorch's own operations, term by term; the traffic is what must at least
move, the coordinates that a term reads and the forces that it adds. Both are held against the peaks of the device,
which are those of an H200 unless given.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from molebm.forcefield.energy import EnergyForces
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.forcefield.parameters import COLUMNS, Parameters, concatenate_parameters
from molebm.models.checkpoint import load_tensors, save_tensors
from molebm.samplers.minimise import minimise
from molebm.topology import Topology, concatenate, separate

KINDS: Final = {"bonds": 2, "angles": 3, "torsions": 4, "impropers": 4, "pairs": 2}
"""Terms of the energy and how many atoms each joins; stretch-bend goes with the angles."""

NO_ARITHMETIC: Final = (
    "index", "gather", "scatter", "cat", "stack", "clone", "copy", "empty", "zeros", "ones", "full", "fill", "view",
    "expand", "select", "slice", "unsqueeze", "squeeze", "permute", "transpose", "detach", "alias", "arange", "where",
    "scalar_tensor", "unbind", "split", "reshape", "as_strided", "_to_copy", "lift",
)  # fmt: skip
FLOAT: Final = 4  # bytes


class Molecule(NamedTuple):
    """What `prepare` wrote of one molecule."""

    topology: Topology
    parameters: Parameters
    starts: Tensor  # (3, N, S) Å


class OperationCount(TorchDispatchMode):
    """Counts one operation for each number that arithmetic gives, whatever the function."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if isinstance(result, Tensor) and not name.startswith(NO_ARITHMETIC):
            read = max((a.numel() for a in args if isinstance(a, Tensor)), default=0)
            self.total += max(result.numel(), read) if name.startswith(("sum", "mean", "amax")) else result.numel()
        return result


@dataclass(slots=True)
class CountedEnergy:
    """The same energy, which counts the conformers it is asked for."""

    energy: MechanicalEnergy
    calls: int = field(init=False, default=0)
    columns: int = field(init=False, default=0)  # conformers of each molecule, summed over calls

    def __call__(self, positions: Tensor) -> Tensor:
        return self.energy(positions)

    def energy_and_forces(self, positions: Tensor) -> EnergyForces:
        self.calls += 1
        self.columns += positions.shape[-1]
        return self.energy.energy_and_forces(positions)


class Measured(NamedTuple):
    """What relaxing one batch took."""

    seconds: float
    conformers: int
    converged: int
    evaluations: int  # of a conformer, whether it still had to move or not
    useful: int  # of these, for a conformer that still moved
    terms: dict[str, int]  # evaluated, by kind


def main() -> None:
    options = _options()
    if options.step == "prepare":
        prepare(options)
    else:
        measure(options)


def prepare(options: argparse.Namespace) -> None:
    """Write molecules as tensors."""
    from molebm.chem.cleaning import prepare_molecule
    from molebm.chem.embedding import embed
    from molebm.chem.graph import positions_from_mol, topology_from_mol
    from molebm.chem.reading import read_molecules
    from molebm.errors import MolebmError
    from molebm.parametrise import named_energy

    mols = [record.mol for record in read_molecules(options.input) if record.mol is not None]
    random.Random(options.seed).shuffle(mols)
    parametrise = named_energy(options.energy).parametrise
    molecules: list[Molecule] = []
    for mol in mols:
        if len(molecules) == options.molecules:
            break
        try:
            whole = embed(prepare_molecule(mol), options.starts, seed=options.seed, time_limit=60)
            topology = topology_from_mol(whole)
            parameters = parametrise([whole], topology)
        except MolebmError as error:
            print(f"left out: {error}")
            continue
        starts = positions_from_mol(whole)
        molecules.append(Molecule(topology, parameters, starts[..., torch.arange(options.starts) % starts.shape[-1]]))
    write_molecules(options.output, molecules)
    print(f"{len(molecules)} molecules with {options.starts} starts each in {options.output}")


def measure(options: argparse.Namespace) -> None:
    """Relax all molecules, batch after batch, and print what it took."""
    device = torch.device(options.device)
    molecules = read_molecules_of(options.input)
    molecules = sorted(molecules[: options.molecules], key=lambda one: one.topology.n_atoms)
    batches = list(_batches(molecules, options.pairs / options.conformers))
    _relax(batches[0], options, device)  # warms up, compiles
    measured = [_relax(batch, options, device) for batch in batches]
    seconds = sum(one.seconds for one in measured)
    conformers = sum(one.conformers for one in measured)
    converged = sum(one.converged for one in measured)
    evaluations = sum(one.evaluations for one in measured)
    useful = sum(one.useful for one in measured)
    atoms = sum(one.topology.n_atoms for one in molecules) / len(molecules)
    print(
        f"{len(molecules)} molecules of {atoms:.0f} atoms × {options.conformers} conformers in {len(batches)} batches "
        f"on {_name(device)}"
    )
    print(f"backend {options.backend}, force tolerance {options.force_tolerance} kcal/mol/Å, float32\n")
    print("| s | relaxed conformers/s | converged, % | evaluations per conformer | evaluations/s | useful, % |")
    print("|--:|--:|--:|--:|--:|--:|")
    print(
        f"| {seconds:.2f} | {conformers / seconds:.0f} | {100 * converged / conformers:.1f} | "
        f"{evaluations / conformers:.0f} | {evaluations / seconds:.3g} | {100 * useful / evaluations:.0f} |\n"
    )
    operations = operations_per_term(batches[0][0])
    print("| term | evaluated | operations each | bytes each | Gop/s | GB/s |")
    print("|---|--:|--:|--:|--:|--:|")
    rates = []
    for kind, n_atoms in KINDS.items():
        terms = sum(one.terms[kind] for one in measured)
        n_bytes = 2 * 3 * FLOAT * n_atoms  # coordinates read, forces added
        rates.append((terms * operations[kind] / seconds / 1e9, terms * n_bytes / seconds / 1e9))
        print(
            f"| {kind} | {terms:.3g} | {operations[kind]:.0f} | {n_bytes} | {rates[-1][0]:.3g} | {rates[-1][1]:.3g} |"
        )
    arithmetic, traffic = (sum(column) for column in zip(*rates, strict=True))
    print(f"| all | | | | {arithmetic:.3g} | {traffic:.3g} |\n")
    print(
        f"{100 * arithmetic / 1000 / options.peak_tflops:.2g} % of {options.peak_tflops:g} Tflop/s and "
        f"{100 * traffic / options.peak_gbs:.2g} % of {options.peak_gbs:g} GB/s, the work of the minimiser apart."
    )


def operations_per_term(molecule: Molecule) -> dict[str, float]:
    """Count the operations that one more term of each kind costs in energy and forces."""
    found = {}
    for kind in KINDS:
        kept = {"bonds"} if kind == "angles" else set()  # angles refer to their bonds
        without = _count(_only(molecule, kept), molecule.starts[..., :1])
        width = getattr(molecule.topology, kind).shape[1]
        found[kind] = (_count(_only(molecule, kept | {kind}), molecule.starts[..., :1]) - without) / max(width, 1)
    return found


def write_molecules(path: Path, molecules: Sequence[Molecule]) -> None:
    """Write molecules one after the other, indices in 32 bits."""
    topology = concatenate([one.topology for one in molecules])
    parameters = concatenate_parameters([one.parameters for one in molecules])
    tensors = {f"topology.{name}": value for name, value in topology.tensors().items()}
    tensors |= {f"parameters.{name}": getattr(parameters, name) for name in COLUMNS}
    tensors |= {"starts": torch.cat([one.starts for one in molecules], dim=1), "n": torch.tensor([len(molecules)])}
    save_tensors(path, {n: v.to(torch.int32) if v.dtype == torch.int64 else v for n, v in tensors.items()})


def read_molecules_of(path: Path) -> list[Molecule]:
    """Read what `write_molecules` wrote."""
    tensors = {n: v.to(torch.int64) if v.dtype == torch.int32 else v for n, v in load_tensors(path).items()}
    columns = {n.removeprefix("topology."): v for n, v in tensors.items() if n.startswith("topology.")}
    whole = Topology(**columns, n_molecules=int(tensors["n"]))
    counts = {
        along: torch.bincount(whole.molecule_of(along), minlength=whole.n_molecules).tolist()
        for along in set(COLUMNS.values())
    }
    parts = {n: tensors[f"parameters.{n}"].split(counts[along], dim=-1) for n, along in COLUMNS.items()}
    starts = tensors["starts"].split(counts["molecule"], dim=1)
    return [
        Molecule(topology, Parameters(**{name: parts[name][g] for name in COLUMNS}), starts[g])
        for g, topology in enumerate(separate(whole))
    ]


def _relax(batch: Sequence[Molecule], options: argparse.Namespace, device: torch.device) -> Measured:
    topology = concatenate([one.topology for one in batch]).to(device)
    parameters = concatenate_parameters([one.parameters for one in batch]).to(device)
    starts = torch.cat([one.starts for one in batch], dim=1)
    repeated = starts[..., torch.arange(options.conformers) % starts.shape[-1]]
    generator = torch.Generator().manual_seed(options.seed)
    positions = (repeated + options.shake * torch.randn(repeated.shape, generator=generator)).to(device)
    energy_fn = CountedEnergy(MechanicalEnergy(topology, parameters, options.backend))
    _synchronise(device)
    begin = time.perf_counter()
    minimum = minimise(
        energy_fn, topology, positions, force_tolerance=options.force_tolerance, max_steps=options.max_steps
    )
    _synchronise(device)
    seconds = time.perf_counter() - begin
    return Measured(
        seconds,
        minimum.energy.numel(),
        int(minimum.converged.sum()),
        energy_fn.columns * topology.n_molecules,
        int(minimum.steps.sum()) + minimum.energy.numel(),
        {kind: getattr(topology, kind).shape[1] * energy_fn.columns for kind in KINDS},
    )


def _batches(molecules: Sequence[Molecule], most_pairs: float) -> Iterator[list[Molecule]]:
    """Cut molecules into batches of so many pairs; a larger molecule is a batch of its own."""
    batch: list[Molecule] = []
    pairs = 0
    for one in molecules:
        n_pairs = one.topology.pairs.shape[1]
        if batch and pairs + n_pairs > most_pairs:
            yield batch
            batch, pairs = [], 0
        batch.append(one)
        pairs += n_pairs
    if batch:
        yield batch


def _only(molecule: Molecule, kinds: set[str]) -> Molecule:
    """Leave the terms of some kinds."""
    topology, parameters = molecule.topology, molecule.parameters
    along = {"angle_bonds": "angles", "torsion_bonds": "torsions", "bond_features": "bonds", "pairs_14": "pairs"}
    kept = {
        name: value[..., :0]
        for name, value in topology.tensors().items()
        if along.get(name, name) in KINDS and along.get(name, name) not in kinds
    }
    gone = {n: getattr(parameters, n)[..., :0] for n, k in COLUMNS.items() if k in KINDS and k not in kinds}
    return Molecule(replace(topology, **kept), replace(parameters, **gone), molecule.starts)


def _count(molecule: Molecule, positions: Tensor) -> int:
    energy_fn = MechanicalEnergy(molecule.topology, molecule.parameters, "torch")
    with OperationCount() as count:
        energy_fn.energy_and_forces(positions)
    return count.total


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    prepare = steps.add_parser("prepare", help="write molecules as tensors, where RDKit is")
    prepare.add_argument("input", type=Path, help="molecules")
    prepare.add_argument("output", type=Path, help="a .safetensors file")
    prepare.add_argument("--molecules", type=int, default=300, help="a random choice of so many")
    prepare.add_argument("--starts", type=int, default=4, help="embedded conformers of each")
    prepare.add_argument("--energy", default="learned", choices=["learned", "mmff94", "mmff94s"])
    prepare.add_argument("--seed", type=int, default=0)
    measure = steps.add_parser("measure", help="relax them, where the GPU is")
    measure.add_argument("input", type=Path, help="what prepare wrote")
    measure.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    measure.add_argument("--backend", default="compiled", choices=["auto", "native", "torch", "compiled"])
    measure.add_argument("--molecules", type=int, help="the first so many; all if left out")
    measure.add_argument("--conformers", type=int, default=50, help="of each molecule")
    measure.add_argument("--shake", type=float, default=0.2, help="Å, spread of the noise on the starts")
    measure.add_argument("--pairs", type=float, default=2e7, help="pairs times conformers in a batch")
    measure.add_argument("--force-tolerance", type=float, default=0.1, help="kcal/mol/Å")
    measure.add_argument("--max-steps", type=int, default=400, help="energy evaluations of a conformer")
    measure.add_argument("--peak-tflops", type=float, default=67, help="of the device in single precision")
    measure.add_argument("--peak-gbs", type=float, default=4800, help="GB/s between the device and its memory")
    measure.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
