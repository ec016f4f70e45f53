"""What dynamics in the learned energy says of it: whether molecules hold, and how well samples can be reweighted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom
from torch import Tensor

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.models.checkpoint import LearnedModel
from molebm.parametrise import mmff
from molebm.samplers.baoab import baoab, maxwell_boltzmann
from molebm.samplers.masses import repartition_hydrogen_mass
from molebm.samplers.run import sample
from molebm.samplers.tempering import geometric_temperatures, parallel_tempering
from molebm.topology import concatenate
from molebm.training.evaluation import effective_sample_size, is_broken
from molebm.training.shards import Reference, at_temperature
from molebm.units import BOLTZMANN, thermal_energy

TEMPERATURE = 300.0  # K
TIME_STEP = 2.0  # fs, with hydrogens of 3 amu
CHECK_EVERY = 50  # steps
HOTTEST, N_TEMPERATURES, N_CHAINS = 800.0, 4, 8  # K, of the tempering
STEPS_PER_SWAP = 25
EQUILIBRATION, SAMPLING, BETWEEN_SAMPLES = 10.0, 50.0, 0.25  # ps


class Held(NamedTuple):
    """How far a stability run is, and which molecules no chain has broken so far."""

    picoseconds: float
    whole: Tensor  # (G,) bool


def stability(
    model: LearnedModel, references: Sequence[Reference], picoseconds: float, n_chains: int
) -> Iterator[Held]:
    """Run BAOAB at 300 K from as many 300 K samples of each molecule as there are chains, and watch the bonds.

    A molecule with a bond stretched to 1.5 times its length at any check, in any chain, is broken for good.
    Reports every ps.
    """
    whole = torch.ones(len(references), dtype=torch.bool)
    checks_per_report = round(1000 / TIME_STEP / CHECK_EVERY)
    checks = broken_at_checks(model, references, picoseconds, n_chains, check_every=CHECK_EVERY)
    for n, broken in enumerate(checks, start=1):
        whole &= ~broken.any(1)
        if n % checks_per_report == 0:
            yield Held(n * CHECK_EVERY * TIME_STEP / 1000, whole)


def broken_at_checks(
    model: LearnedModel, references: Sequence[Reference], picoseconds: float, n_chains: int, *, check_every: int | None
) -> Iterator[Tensor]:
    """Run BAOAB at 300 K from 300 K samples and say, every so many steps or only at the end, what is broken; (G, C)."""
    topology = concatenate([r.topology for r in references])
    lengths = model.parameters(topology).bond_length
    masses = repartition_hydrogen_mass(topology)
    sampler = baoab(model.energy(topology), topology, masses=masses, time_step=TIME_STEP)
    kT, generator = thermal_energy(TEMPERATURE), torch.Generator().manual_seed(0)
    columns = at_temperature(references[0], TEMPERATURE)[:n_chains]
    state = sampler.init(torch.cat([r.positions[:, :, columns] for r in references], dim=1))
    velocities = maxwell_boltzmann(topology, masses, state.positions, kT=kT, generator=generator)
    state = state._replace(velocities=velocities)
    n_steps = round(picoseconds * 1000 / TIME_STEP)
    thin = check_every or n_steps
    for now, _ in sample(sampler, state, kT=kT, n_steps=n_steps, generator=generator, thin=thin):
        yield is_broken(topology, lengths, now.positions)


def reweighting(model: LearnedModel, smiles: Sequence[str]) -> Tensor:
    """Sample the learned energy at 300 K and reweight to MMFF94: effective sample size of each molecule, (G,).

    Replicas at higher temperatures carry the samples over barriers, so that each conformer has the weight
    that the learned energy gives it.
    """
    mols = [_embedded(text) for text in smiles]
    topology = concatenate([topology_from_mol(mol) for mol in mols])
    learned = model.energy(topology)
    reference = MechanicalEnergy(topology, mmff()(mols, topology))
    masses = repartition_hydrogen_mass(topology)
    inner = baoab(learned, topology, masses=masses, time_step=TIME_STEP, friction=2.0)
    sampler = parallel_tempering(inner, topology, n_temperatures=N_TEMPERATURES, steps_per_swap=STEPS_PER_SWAP)
    kT = BOLTZMANN * geometric_temperatures(TEMPERATURE, HOTTEST, N_TEMPERATURES).repeat_interleave(N_CHAINS)
    generator = torch.Generator().manual_seed(0)
    starts = torch.cat([positions_from_mol(mol, dtype=torch.float32) for mol in mols], dim=1)
    state = sampler.init(starts.repeat(1, 1, N_TEMPERATURES))
    rounds_per_ps = 1000 / TIME_STEP / STEPS_PER_SWAP
    n_rounds, thin = (EQUILIBRATION + SAMPLING) * rounds_per_ps, BETWEEN_SAMPLES * rounds_per_ps
    log_weights = []
    for now, _ in sample(sampler, state, kT=kT, n_steps=round(n_rounds), generator=generator, thin=round(thin)):
        positions = now.positions[..., :N_CHAINS].contiguous()
        excess = now.energy[:, :N_CHAINS] - reference.energy_and_forces(positions).energy
        log_weights.append(excess / thermal_energy(TEMPERATURE))
    kept = log_weights[round(EQUILIBRATION / BETWEEN_SAMPLES) :]
    return effective_sample_size(torch.cat(kept, dim=1))


def _embedded(smiles: str) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMultipleConfs(mol, N_CHAINS, randomSeed=1)
    return mol
