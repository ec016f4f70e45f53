"""What the tests of all engines share: molecules in space, and a model with a residual that is not zero."""

import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.models.checkpoint import SHIPPED, load_model, save_model
from molebm.models.residual import ResidualNetwork

SIZE = {"width": 8, "n_layers": 1, "n_densities": 4, "hidden": 4}


def _embedded(smiles, n_conformers=1):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMultipleConfs(mol, n_conformers, randomSeed=7)
    return mol


@pytest.fixture(scope="session")
def embedded():
    """Give a molecule hydrogens and conformers."""
    return _embedded


@pytest.fixture(scope="session")
def residual_model(tmp_path_factory):
    """Path of the shipped network with a small random residual on top."""
    network = ResidualNetwork(**SIZE)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.5, generator=generator)
    path = tmp_path_factory.mktemp("model") / "model"
    shipped = load_model(SHIPPED)
    save_model(path, shipped.network, {**shipped.metadata, "residual": SIZE}, network)
    return path.with_suffix(".safetensors")
