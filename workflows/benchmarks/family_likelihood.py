"""Boltzmann machines by their likelihood of unseen molecules, beside scikit-learn's; and ln Z by every way there is.

    molebm featurise LIBRARY.smi -o BITS --features maccs
    python workflows/benchmarks/family_likelihood.py BITS

Prints two Markdown tables. The first holds machines against each other by the mean ln p of molecules of unseen
scaffolds, with ln Z summed exactly for the small machines and by annealing in both directions for the large. The
second holds estimates of ln Z of one small and one large machine against the sum, where there is one.
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np
import pymbar
import torch
from conformer_measures import table
from sklearn.neural_network import BernoulliRBM

from molebm.family.features import Features, read_features
from molebm.family.rbm import RbmConfig, RestrictedBoltzmannMachine, bit_means
from molebm.family.rbm_partition import LnPartition, annealed_ln_partition, exact_ln_partition, path_to
from molebm.family.run import fit
from molebm.samplers.annealed_importance import annealed_importance

EXACT = 16  # hidden bits that are summed over
SWEEPS = 500  # from data to samples of the machine
OURS = {
    "CD-1": {"objective": "cd", "n_steps": 1},
    "CD-10": {"objective": "cd", "n_steps": 10},
    "PCD-1": {"objective": "pcd", "n_steps": 1},
    "PCD-10": {"objective": "pcd", "n_steps": 10},
}
RATES = (0.1, 0.03, 0.01)  # of scikit-learn's, of which the best by the validation scaffolds is told


@click.command()
@click.argument("bits", type=click.Path(exists=True, path_type=Path))
@click.option("--hidden", default="16,64", show_default=True)
@click.option("--updates", default=1500, show_default=True)
@click.option("--passes", default=1, show_default=True, help="Of scikit-learn's over the molecules, for each of ours.")
@click.option("--ours/--no-ours", default=True, show_default=True, help="Train machines of molebm too.")
@click.option("--chains", default=200, show_default=True)
@click.option("--rungs", default=300, show_default=True)
def main(bits: Path, hidden: str, updates: int, passes: int, ours: bool, chains: int, rungs: int) -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    data = read_features(bits)
    rows, estimates = [], []
    print(f"{data.count('train')} molecules train, {data.count('test')} test\n", flush=True)
    for size in (int(count) for count in hidden.split(",")):
        for name, machine, seconds in machines(data, size, updates, passes, OURS if ours else {}):
            found = None if size <= EXACT else annealed(machine, data, chains, rungs)
            ln_z = exact_ln_partition(machine) if found is None else found.both.value.item()
            error = "exact" if found is None else f"± {found.both.error.item():.2f}"
            likelihood = [f"{-energies(machine, data, split).mean() - ln_z:.2f}" for split in ("train", "test")]
            rows.append((f"{size}", name, *likelihood, error, f"{seconds:.0f}"))
            print(rows[-1], flush=True)
            if name == "PCD-1":
                estimates += ways(f"{size} hidden bits", machine, data, chains, rungs)
    head = ("hidden bits", "trained by", "ln p, training", "ln p, unseen scaffolds", "ln Z", "seconds")
    print("\n" + table(head, rows, texts=2))
    print("\n" + table(("machine", "way", "lower bound", "ln Z", "upper bound", "seconds"), estimates, texts=2))


def machines(data: Features, size: int, updates: int, passes: int, ours: dict[str, dict]):
    """Yield name, machine and seconds of one core."""
    for name, settings in ours.items():
        begun = time.process_time()
        config = RbmConfig.model_validate({"hidden": size, "updates": updates, **settings})
        yield name, fit(RestrictedBoltzmannMachine, config, data).requires_grad_(False), time.process_time() - begun
    x = data.tensors["x"][data.rows("train")].float().numpy()
    tried = []
    for rate in RATES:
        begun = time.process_time()
        n_iter = max(1, passes * updates * 256 // len(x))
        theirs = BernoulliRBM(size, learning_rate=rate, batch_size=64, n_iter=n_iter, random_state=0).fit(x)
        machine = RestrictedBoltzmannMachine(x.shape[1], size).requires_grad_(False)
        machine.weights.copy_(torch.tensor(theirs.components_.T))
        machine.visible_bias.copy_(torch.tensor(theirs.intercept_visible_))
        machine.hidden_bias.copy_(torch.tensor(theirs.intercept_hidden_))
        seconds = time.process_time() - begun
        ln_z = exact_ln_partition(machine) if size <= EXACT else annealed(machine, data, 100, 100).both.value.item()
        tried.append((-energies(machine, data, "validation").mean() - ln_z, seconds, rate, machine))
    best = max(tried, key=lambda one: one[0])
    yield f"scikit-learn, rate {best[2]}, {passes} × the passes", best[3], best[1]


def energies(machine: RestrictedBoltzmannMachine, data: Features, split: str) -> np.ndarray:
    return machine.energy(data.tensors["x"][data.rows(split)].float()).double().numpy()


def annealed(machine: RestrictedBoltzmannMachine, data: Features, chains: int, rungs: int) -> LnPartition:
    """Anneal from independent bits and back from long chains that began at data."""
    generator = torch.Generator().manual_seed(0)
    path = path_to(machine, bit_means(data))
    start = data.draw(chains, generator, torch.device("cpu"))["x"].double()
    end = path.machine.gibbs(start, SWEEPS, generator)
    return annealed_ln_partition(path, end, generator, n_rungs=rungs)


def ways(label: str, machine: RestrictedBoltzmannMachine, data: Features, chains: int, rungs: int) -> list[tuple]:
    """One row for each way to ln Z."""
    begun = time.process_time()
    found = annealed(machine, data, chains, rungs)
    seconds = f"{time.process_time() - begun:.0f}, all three"
    forward, both, integral = found
    values = [f"{one.value:.3f} ± {one.error:.3f}" for one in found]
    rows = [
        ("annealing forward", f"{forward.bound:.3f}", values[0], "", ""),
        ("forward and back, Bennett", f"{both.lower:.3f}", values[1], f"{both.upper:.3f}", ""),
        ("integration", f"{integral.lower:.3f}", values[2], f"{integral.upper:.3f}", seconds),
    ]
    rows.append(("forward and back, pymbar", "", theirs(machine, data, chains, rungs), "", ""))
    if min(machine.weights.shape) <= EXACT:
        begun = time.process_time()
        exact = f"{exact_ln_partition(machine):.3f}"
        rows.insert(0, ("sum over all hidden states", exact, exact, exact, f"{time.process_time() - begun:.2f}"))
    return [(label, *row) for row in rows]


def theirs(machine: RestrictedBoltzmannMachine, data: Features, chains: int, rungs: int) -> str:
    """Bennett's acceptance ratio of work both ways by pymbar, whose work is minus ln of the weights."""
    generator = torch.Generator().manual_seed(1)
    path = path_to(machine, bit_means(data))
    schedule = torch.linspace(0, 1, rungs).tolist()
    end = path.machine.gibbs(data.draw(chains, generator, torch.device("cpu"))["x"].double(), SWEEPS, generator)
    hidden = end.new_zeros((chains, len(machine.hidden_bias)))
    starts = (path.start(chains, generator), path.move(torch.cat([end, hidden], -1), 1.0, generator))
    work = []
    with torch.no_grad():
        for state, rungs_of in zip(starts, (schedule, schedule[::-1]), strict=True):
            *_, (_, log_weights) = annealed_importance(path.marginal, path.move, state, rungs_of, generator)
            work.append(-log_weights.numpy())
    found = pymbar.bar(*work)
    return f"{path.ln_base - found['Delta_f']:.3f} ± {found['dDelta_f']:.3f}"


if __name__ == "__main__":
    main()
