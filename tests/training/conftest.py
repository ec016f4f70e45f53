"""Reference ensembles of a few small molecules, cheap enough to make anew."""

import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.preparation.ensembles import EnsembleSettings, reference_ensemble
from molebm.references.mmff import mmff_parameters
from molebm.training.shards import Reference


@pytest.fixture(scope="session")
def references():
    """MMFF94 ensembles of four molecules, far from equilibrated but real."""
    settings = EnsembleSettings(n_chains=4, n_frames=1, n_minima=4, equilibration=0.1, between_frames=0.02)
    found = []
    for index, smiles in enumerate(["CCO", "CC=O", "CN", "OC=O"]):
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        rdDistGeom.EmbedMultipleConfs(mol, settings.n_chains, randomSeed=index + 1)
        topology = topology_from_mol(mol)
        energy_fn = MechanicalEnergy(topology, mmff_parameters(mol, topology).to(dtype=torch.float32))
        generator = torch.Generator().manual_seed(index)
        ensemble = reference_ensemble(energy_fn, topology, positions_from_mol(mol), settings, generator)
        found.append(
            Reference(
                name=f"molecule-{index}",
                smiles=smiles,
                split="train",
                topology=topology,
                positions=ensemble.positions,
                temperatures=ensemble.temperatures,
                energies=ensemble.energies[0],
                forces=ensemble.forces,
                minima=ensemble.minima,
                minima_energies=ensemble.minima_energies[0],
                starts=positions_from_mol(mol),
            )
        )
    return found
