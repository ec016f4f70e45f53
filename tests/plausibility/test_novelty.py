"""Novelty: what the library has is known, what it lacks is found, and where."""

import numpy as np
import pytest
import torch
from rdkit import Chem

from molebm.chem.circles import circles, molecules_with
from molebm.errors import CheckpointError, RequestError
from molebm.family.checkpoint import TrainedEnergy, save_trained
from molebm.family.rbm import RestrictedBoltzmannMachine
from molebm.family.rbm_partition import all_bits
from molebm.plausibility.newness import N_BITS, UNSEEN, Newness, bits_of, unseen_circles
from molebm.plausibility.novelty import Library
from molebm.plausibility.trained_library import TrainedLibrary, read_library

ALCOHOLS = [Chem.MolFromSmiles("C" * n + "O") for n in range(1, 40)]
INDOLE = Chem.MolFromSmiles("c1ccc2[nH]ccc2c1")


@pytest.fixture(scope="module")
def library() -> Library:
    return Library([*ALCOHOLS, None])


def test_molecule_of_the_library_is_not_new_whether_hydrogens_are_written_or_not(library):
    assert library.novelty(ALCOHOLS[5]) == library.novelty(Chem.AddHs(ALCOHOLS[5]))
    assert library.novelty(ALCOHOLS[5]).p_value > 0.05
    assert library.novelty(ALCOHOLS[5]).blames == []


def test_molecule_unlike_all_others_is_new_and_the_p_value_as_small_as_it_can_be(library):
    found = library.novelty(INDOLE)
    assert found.score > library.novelty(ALCOHOLS[5]).score
    assert found.p_value == 1 / (library.n_trusted + 1)


def test_atoms_to_blame_are_those_with_surroundings_that_the_library_lacks(library):
    found = library.novelty(Chem.MolFromSmiles("CCCCCCC(F)CCCCCCO"))
    assert 7 in {blame.atoms[0] for blame in found.blames}  # the fluorine
    assert all({6, 7} & set(blame.atoms) for blame in found.blames)  # or the carbon that bears it
    assert any("F7" in blame.words for blame in found.blames)


def test_same_library_and_seed_make_the_same_novelty(library):
    assert Library(ALCOHOLS).novelty(INDOLE) == library.novelty(INDOLE)


def test_few_molecules_are_no_library():
    with pytest.raises(RequestError, match="at least 20"):
        Library(ALCOHOLS[:5] * 10)


def test_what_only_the_molecule_itself_has_is_unseen():
    found = [circles(mol) for mol in (*[ALCOHOLS[5]] * 2, Chem.MolFromSmiles("CCO"), INDOLE)]
    seen = molecules_with(found)
    assert unseen_circles(found[0], seen, own=1) == []
    assert unseen_circles(found[3], seen, own=1) == found[3]
    assert unseen_circles(found[3], seen, own=0) == []


def test_bits_count_the_unseen_by_radius_and_the_size():
    found = circles(INDOLE)
    bits = bits_of(found, INDOLE.GetNumAtoms())
    n_centres = sum(circle.radius == 0 for circle in found)
    assert n_centres == INDOLE.GetNumAtoms() == 9
    assert bits[: len(UNSEEN)].tolist() == [step <= n_centres for step in UNSEEN]
    assert bits[-9:].tolist() == [1, *[0] * 8]


def test_energy_of_newness_is_minus_the_logarithm_of_a_probability():
    """Over all settings of a few bits, the rest held, the probabilities are part of a sum that is 1."""
    generator = torch.Generator().manual_seed(0)
    newness = Newness(torch.bernoulli(torch.full((60, N_BITS), 0.05), generator=generator))
    bits = torch.zeros((2**12, N_BITS))
    bits[:, :12] = all_bits(12)
    share = newness.energy(bits).neg().exp().sum().item()
    assert 0.1 < share < 1


def test_blame_adds_up_to_what_the_energy_would_be_lower_without_the_circles_of_one_radius():
    generator = torch.Generator().manual_seed(0)
    newness = Newness(torch.bernoulli(torch.full((60, N_BITS), 0.2), generator=generator))
    unseen = [circle for circle in circles(INDOLE) if circle.radius == 1]
    energies = newness.energy(torch.stack([bits_of(unseen, 9), bits_of([], 9)]))
    assert sum(newness.blame(unseen, 9)) == pytest.approx((energies[0] - energies[1]).item())


def test_trained_model_blames_the_bits_that_make_its_energy_higher():
    machine = RestrictedBoltzmannMachine(167, 2)
    for parameter in machine.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        machine.visible_bias[103] = -5.0  # MACCS key 103: chlorine
    features = {"name": "maccs", "settings": {}}
    known = TrainedLibrary(TrainedEnergy(machine, {"features": features, "calibration": [-1.0] * 19}))
    found = known.novelty(Chem.MolFromSmiles("CCCl"))
    assert found.p_value == 1 / 20
    assert [(blame.atoms, round(blame.energy, 4)) for blame in found.blames] == [((2,), 5.0)]
    assert known.novelty(Chem.MolFromSmiles("CCF")).blames == []


def test_library_is_read_from_molecules_or_from_a_model(tmp_path):
    machine = RestrictedBoltzmannMachine(167, 2)
    metadata = {"features": {"name": "maccs", "settings": {}}, "calibration": [0.0]}
    save_trained(tmp_path / "model", TrainedEnergy(machine, metadata))
    assert isinstance(read_library(str(tmp_path / "model.safetensors")), TrainedLibrary)
    few = tmp_path / "few.smi"
    few.write_text("CCO\nCCN\n")
    with pytest.raises(RequestError, match="2 different molecules"):
        read_library(str(few))


def test_model_that_reads_no_features_is_no_library():
    with pytest.raises(CheckpointError, match="featurise"):
        TrainedLibrary(TrainedEnergy(RestrictedBoltzmannMachine(3, 2), {}))


def test_p_values_of_molecules_like_the_library_are_uniform():
    """Random chains of two kinds of atom, half of them the library."""
    generator = np.random.default_rng(0)
    chains = ["".join(generator.choice(["C", "O", "N", "S"], size=12, p=[0.7, 0.1, 0.1, 0.1])) for _ in range(400)]
    mols = [Chem.MolFromSmiles(chain) for chain in dict.fromkeys(chains)]
    known = Library(mols[:200])
    p_values = np.sort([known.novelty(mol).p_value for mol in mols[200:]])
    n, m = len(p_values), known.n_trusted
    expected = (1 + np.arange(n)) / n
    assert (p_values - expected + 1 / m).min() > -1.63 * (1 / n + 1 / m) ** 0.5  # Kolmogorov and Smirnov, 1 in 100
