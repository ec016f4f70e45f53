"""A batch of structures held against themselves, relaxed as far as each question allows."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.forcefield.parameters import in_medium
from molebm.plausibility.batches import Batch
from molebm.plausibility.contacts import contacts
from molebm.plausibility.environments import atom_types
from molebm.plausibility.hydrogen_geometry import HydrogenBonds, hydrogen_geometry
from molebm.plausibility.local_geometry import local_geometry
from molebm.plausibility.observations import Observations
from molebm.plausibility.rotor_scans import rotor_scans
from molebm.plausibility.twists import twists
from molebm.samplers.engines import Engine, make_engine
from molebm.topology import Topology

TETHER: Final = 5.0  # kcal/mol/Å², of each heavier atom to where it was given: bonds and angles settle, shapes stay
SETTLING_STEPS, SETTLED = 400, 0.002  # evaluations at most, and kcal/mol/Å: where steps no longer matter
RELAXING_STEPS, RELAXED = 200, 0.5  # the same for what is only compared by energy
N_TRIALS: Final = 16  # structures near by that a strained one is held against; as many as the C code does at once
TRIAL_KT: Final = (2.0, 0.6, 60)  # kcal/mol, from and to, and how many turns are proposed
SECONDS_PER_MOLECULE: Final = 10.0


class Measurement(NamedTuple):
    """What G molecules with C poses each are found to be; on the CPU."""

    observations: list[Observations]
    energy: Tensor  # (G, C) kcal/mol, of the structures as given, in a vacuum
    heavy_atoms: Tensor  # (G,)
    strain: Tensor | None  # (G, C) kcal/mol above the lowest found near by, once bonds and angles have settled


@torch.no_grad()
def measure(batch: Batch, *, with_strain: bool, seed: int = 0) -> Measurement:
    """Relax the structures of a batch and list what they have and what was expected.

    Hydrogens are first brought to the lengths that the energy has and relaxed with all other atoms held: the heavier
    atoms are looked at with these. What is expected of them is their own geometry after a relaxation on tethers.

    Raises
    ------
    TimeLimitError
        If it takes longer than `SECONDS_PER_MOLECULE` for each structure.
    """
    topology, given = batch.topology, batch.positions
    medium = in_medium(batch.parameters)
    n_structures = sum(len(poses.places) for poses in batch.molecules)
    engine = make_engine(topology, medium, "auto", SECONDS_PER_MOLECULE * n_structures)
    hydrogen = topology.atomic_numbers == 1
    held = torch.where(hydrogen, 0.0, torch.inf)
    tether = torch.where(hydrogen, 0.0, TETHER)
    bonds = HydrogenBonds(topology, medium.bond_length)
    normal = bonds.normalised(given)
    placed = _relaxed(engine, normal, held)
    settled = _relaxed(engine, placed, tether)

    types = atom_types(topology)
    found = [
        *local_geometry(topology, types, placed, settled),
        twists(topology, types, medium, placed),
        *rotor_scans(topology, types, engine, placed.float()),
        contacts(topology, types, medium, placed, settled),
        *hydrogen_geometry(topology, types, bonds, given, placed, batch.added),
    ]
    whole = torch.where(batch.added[:, None], placed, given)
    energy = MechanicalEnergy(topology, batch.parameters.to(dtype=torch.float64))(whole)
    strain = _strain(topology, engine, settled, seed).cpu() if with_strain else None
    heavy_atoms = topology.sum_atoms((~hydrogen).double()).cpu()
    return Measurement([_on_cpu(one) for one in found], energy.cpu(), heavy_atoms, strain)


def _strain(topology: Topology, engine: Engine, settled: Tensor, seed: int) -> Tensor:
    """Energy above the lowest minimum that a short torsion search from each structure finds, (G, C) kcal/mol."""
    shape = (topology.n_molecules, settled.shape[2])
    relaxed = engine.relax_alone(settled, force_tolerance=RELAXED, max_steps=RELAXING_STEPS)
    lowest = relaxed.energy.float()
    if engine.n_rotors:
        first, last, steps = TRIAL_KT
        schedule = torch.linspace(first, last, steps, device=settled.device)
        seeds = [seed] * topology.n_molecules
        alone = 1 if settled.is_cpu else shape[1]  # in C, chance goes by the seed and the place among the poses
        poses = relaxed.positions.split(alone, dim=2)
        trials = torch.cat(
            [engine.turn_bonds(x.repeat_interleave(N_TRIALS, dim=2), schedule, seeds) for x in poses], dim=2
        )
        ends = engine.relax(trials, force_tolerance=RELAXED, max_steps=RELAXING_STEPS // 2)
        found = ends.energy.unflatten(1, (shape[1], N_TRIALS)).nan_to_num(nan=torch.inf).amin(2)
        lowest = torch.minimum(lowest.nan_to_num(nan=torch.inf), found)
    return (engine.energy(settled) - lowest).double().nan_to_num(nan=1e6, posinf=1e6).clamp(min=0)


def _relaxed(engine: Engine, positions: Tensor, tether: Tensor) -> Tensor:
    """Relax, and leave exactly where it was what is held."""
    found = engine.relax_alone(
        positions, force_tolerance=SETTLED, max_steps=SETTLING_STEPS, tether=tether.float()
    ).positions
    return torch.where(tether.isinf()[:, None], positions, found.to(positions))


def _on_cpu(one: Observations) -> Observations:
    return Observations(one.kind, *(value.cpu() for value in one[1:]))
