import numpy as np
import pytest
import torch

from molebm.plausibility.observations import BOND, KINDS
from molebm.plausibility.profile import PROFILE, WITHOUT_STRAIN, profile
from molebm.plausibility.statistics import learn_norms, standardised
from tests.plausibility.conftest import embedded, stretched
from tests.plausibility.measuring import measured


@pytest.fixture(scope="module")
def norms():
    return learn_norms([measured(embedded(s, relaxed=False)) for s in ("CC(=O)NC", "CC(N)C(=O)O", "CCCC", "C1CCNCC1")])


def profiled(norms, *mols, with_strain=False) -> dict[str, np.ndarray]:
    """The profile of each structure by name, as sizes."""
    found = measured(*mols, with_strain=with_strain)
    rows = profile(found, standardised(found, norms)).expm1().numpy()
    return dict(zip(PROFILE, rows.transpose(2, 0, 1), strict=False))


def test_profile_has_a_number_for_each_name(alanine, norms):
    found = measured(alanine, with_strain=True)
    assert profile(found, standardised(found, norms)).shape == (1, 1, len(PROFILE))
    without = measured(alanine)
    assert profile(without, standardised(without, norms)).shape == (1, 1, len(WITHOUT_STRAIN))


def test_numbers_of_a_kind_are_those_of_its_terms(alanine, norms):
    found = measured(alanine)
    terms = {term.observations.kind: term for term in standardised(found, norms)}
    numbers = profiled(norms, alanine)
    for kind in KINDS:
        sizes = terms[kind].z.abs()[:, 0].sort(descending=True).values.clamp(max=1e4)
        if not len(sizes):
            continue
        padded = torch.cat([sizes, torch.zeros(3)])
        for place in range(3):
            assert numbers[f"{kind.name}, largest {place + 1}"].item() == pytest.approx(padded[place].item(), abs=1e-9)
        assert numbers[f"{kind.name}, mean size"].item() == pytest.approx(sizes.clamp(max=30).mean().item())
        mean_square = sizes.clamp(max=4).square().mean().item()
        assert numbers[f"{kind.name}, root mean square"].item() == pytest.approx(mean_square**0.5)
    bonds = terms[BOND].z[:, 0].clamp(-4, 4)
    assert numbers["bond, mean"].item() == pytest.approx(abs(bonds.mean().item()))
    assert numbers["heavy atoms"].item() == pytest.approx(alanine.GetNumHeavyAtoms())


def test_structures_have_the_same_profile_beside_others(alanine, norms):
    """As one of two poses, and beside another molecule."""
    butane, long = embedded("CCCC", relaxed=False), stretched(alanine, 4, 6, 0.2)
    together = profiled(norms, butane, alanine)
    poses = profiled(norms, alanine, long)
    for name, value in profiled(norms, long).items():
        assert poses[name][0, 1] == pytest.approx(value.item(), rel=0.02, abs=0.02), name
    for name, value in profiled(norms, alanine).items():
        assert together[name][1, 0] == pytest.approx(value.item(), rel=0.02, abs=0.02), name


def test_worst_atom_rises_where_a_bond_is_stretched(alanine, norms):
    usual, long = (profiled(norms, mol)["worst atom"].item() for mol in (alanine, stretched(alanine, 4, 6, 0.3)))
    assert long > usual + 3
