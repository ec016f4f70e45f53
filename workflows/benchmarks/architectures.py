"""What each part of the network buys and what it costs: same data, same objective, same minutes of one core.

    python workflows/benchmarks/architectures.py REFERENCES --minutes 3

REFERENCES is a folder that `molebm prepare` made. Each row changes one thing and matches forces from random weights.
Prints a Markdown table, a row as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import click
import torch
from timed_training import Quality, quality, train_for
from torch import Tensor

from molebm.forcefield.parameters import Parameters
from molebm.models import network as networks
from molebm.topology import Topology
from molebm.training.config import TrainingConfig
from molebm.training.pool import Shards
from molebm.training.shards import read_references, verified_shards

FORWARD = networks.ParameterNetwork.forward
ATOM_RINGS, BOND_RING = (5, 6, 7), 2  # places of aromaticity, smallest ring and rings among the features
SIZES: dict[str, dict[str, Any]] = {
    "as shipped: 4 layers, width 128": {},
    "2 layers": {"n_layers": 2},
    "6 layers": {"n_layers": 6},
    "width 64": {"width": 64},
    "width 192": {"width": 192},
    "gated messages": {"gated": True},
    "heads of 128": {"hidden": 128},
}


def without_rings(self: networks.ParameterNetwork, topology: Topology) -> Parameters:
    """Hide aromaticity and rings from the network."""
    atoms, bonds = topology.atom_features.clone(), topology.bond_features.clone()
    atoms[list(ATOM_RINGS)] = 0
    bonds[BOND_RING] = 0
    return FORWARD(self, replace(topology, atom_features=atoms, bond_features=bonds))


def three_harmonics(self: networks.ParameterNetwork, topology: Topology) -> Parameters:
    """Leave out the fourth to the sixth harmonic of torsions."""
    parameters = FORWARD(self, topology)
    return replace(parameters, torsion_v=parameters.torsion_v[:3])


def one_way(self: networks.ParameterNetwork, topology: Topology) -> Parameters:
    """Read chains of atoms in one direction only, as they are numbered."""
    read = "molebm.models.heads.ReversibleHead.forward"
    with mock.patch(read, read_one_way):
        return FORWARD(self, topology)


def read_one_way(head: Any, atoms: Tensor, bonds: Tensor, atom_chain: Tensor, bond_chain: Tensor) -> Tensor:
    """Leave out the reverse of each chain."""
    at = [place(atoms) for place in head.atom_places]
    along = [place(bonds) for place in head.bond_places]
    there = torch.nn.functional.silu(head._read(at, atom_chain) + head._read(along, bond_chain))
    even = torch.nn.functional.linear(2 * there, head.out.weight[: head.n_even], head.even_bias)
    return torch.cat([even, torch.nn.functional.linear(there, head.out.weight[head.n_even :])], dim=-1)


def mean_radii(
    radius: Tensor, depth: Tensor, softness: Tensor, donor: Tensor, acceptor: Tensor, pairs: Tensor
) -> tuple[Tensor, Tensor]:
    """Combine by arithmetic and geometric means (Lorentz and Berthelot)."""
    i, j = pairs
    return (radius[i] + radius[j]) / 2, (depth[i] * depth[j]).sqrt()


FORWARDS: dict[str, Callable] = {
    "no ring features": without_rings,
    "torsions to the third order": three_harmonics,
    "chains read one way": one_way,
}


@contextmanager
def changed(label: str) -> Iterator[None]:
    """Replace one part of the network by a lesser one."""
    if label in FORWARDS:
        with mock.patch.object(networks.ParameterNetwork, "forward", FORWARDS[label]):
            yield
    elif label == "Lorentz-Berthelot rules":
        with mock.patch.object(networks, "combine", mean_radii):
            yield
    else:
        yield


@click.command()
@click.argument("references", type=click.Path(exists=True, path_type=Path))
@click.option("--minutes", default=3.0, show_default=True, help="Of processor time, for each row.")
@click.option("--shards", "n_shards", default=32, show_default=True, help="Train on the first so many.")
@click.option("--molecules", default=100, show_default=True, help="Unseen molecules to evaluate on.")
@click.option("--picoseconds", default=2.0, show_default=True, help="Of dynamics at 300 K, for the valid structures.")
@click.option("--only", multiple=True, help="Rows to run, by a part of their name; all if left out.")
def main(
    references: Path, minutes: float, n_shards: int, molecules: int, picoseconds: float, only: tuple[str, ...]
) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    shards = Shards(list(islice(verified_shards(references), n_shards)), "train", 0)
    unseen = list(islice(read_references(references, "test"), molecules))
    click.echo(f"{minutes:g} minutes of one core for each row, {len(unseen)} unseen molecules\n")
    click.echo(Quality.HEADER.format("network"))
    stages = [{"updates": 100, "objectives": [{"objective": "force_matching"}]}]
    for label in (*SIZES, *FORWARDS, "Lorentz-Berthelot rules"):
        if only and not any(part in label for part in only):
            continue
        config = TrainingConfig.model_validate(
            {"stages": stages, "columns": 24, "pool": {"shards": n_shards}, "network": SIZES.get(label, {})}
        )
        with changed(label):
            trained = train_for(minutes, config, shards)
            click.echo(quality(trained.model, unseen, picoseconds=picoseconds).row(label, trained))


if __name__ == "__main__":
    main()
