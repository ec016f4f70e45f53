"""Starts from noise: sound where the model is, the same by the seed, and clear about what cannot be."""

import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom

import molebm
from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.conformers.noise_starts import noise_model, starts_from_noise
from molebm.conformers.settings import GenerationSettings
from molebm.conformers.validity import bonds_are_whole, follows_stereo
from molebm.errors import CheckpointError, RequestError
from molebm.family import score
from molebm.family.checkpoint import TrainedEnergy, save_trained
from molebm.family.diffusion_recovery import DiffusionModel
from molebm.family.score import ScoreModel
from molebm.references.mmff import mmff_parameters

SMILES = "C[C@H](O)F"
SIZE = {"width": 16, "n_layers": 1, "hidden": 16, "n_knots": 4}


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch):
    monkeypatch.setattr(score, "LEVELS", 8)


@pytest.fixture(scope="module", params=["score", "diffusion_recovery"])
def path(request, tmp_path_factory):
    """A model that has learned nothing knows bond lengths, and which side of a centre is which."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if request.param == "score":
            model = ScoreModel(300.0, **SIZE)
        else:
            model = DiffusionModel(300.0, levels=12, n_steps=5, **SIZE)
    made = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_trained(made, TrainedEnergy(model, {}))
    return made


class Tossing:
    """Draws the molecule and its mirror image by the toss of a coin."""

    def __init__(self, structure):
        self.structure = structure  # (3, N, 1) Å

    def to(self, device):
        return self

    def sample(self, topology, n, generators):
        heads = torch.rand(n, generator=generators[0]) < 0.5
        return torch.where(heads, self.structure, -self.structure)


def test_what_came_out_inverted_is_drawn_again():
    mol = Chem.AddHs(Chem.MolFromSmiles(SMILES))
    rdDistGeom.EmbedMolecule(mol, randomSeed=1)
    topology = topology_from_mol(mol)
    parameters = mmff_parameters(mol, topology).to(dtype=torch.float32)
    found = starts_from_noise(
        Tossing(positions_from_mol(mol)), topology, parameters, 200, [torch.Generator().manual_seed(0)]
    )
    assert follows_stereo(topology, found).float().mean() > 0.8  # 15 of 16 are expected


def test_samples_depend_on_the_seed_alone(path):
    topology = topology_from_mol(Chem.AddHs(Chem.MolFromSmiles(SMILES)))
    model = noise_model(path)
    first, again, other = (model.sample(topology, 4, [torch.Generator().manual_seed(seed)]) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.isfinite().all()


def test_conformers_from_noise_are_generated(path):
    (mol,) = molebm.generate(SMILES, n_conformers=3, start="diffusion", start_model=path, energy="mmff94")
    assert mol.GetNumConformers() > 0
    Chem.AssignStereochemistryFrom3D(mol)
    assert Chem.MolToSmiles(Chem.RemoveHs(mol)) == Chem.CanonSmiles(SMILES)


def test_shipped_model_makes_whole_structures_with_the_declared_stereo(monkeypatch):
    monkeypatch.setattr(score, "LEVELS", 24)
    mol = Chem.AddHs(Chem.MolFromSmiles("C[C@H](O)/C=C/F"))
    topology = topology_from_mol(mol)
    lengths = mmff_parameters(mol, topology).bond_length.float()
    found = noise_model(None).sample(topology, 32, [torch.Generator().manual_seed(0)])
    assert follows_stereo(topology, found).float().mean() > 0.8
    assert bonds_are_whole(topology, lengths, found).float().mean() > 0.8


def test_model_without_use_and_missing_model_are_refused(tmp_path):
    with pytest.raises(RequestError, match="leave 'x' out"):
        GenerationSettings(start_model="x")
    with pytest.raises(CheckpointError, match="no model"):
        noise_model(tmp_path / "missing.safetensors")
