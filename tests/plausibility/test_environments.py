import numpy as np
import pytest
import torch
from rdkit import Chem

from molebm.chem.graph import topology_from_mol
from molebm.plausibility.environments import FEWEST, OUTLIER, SHRINKAGE, atom_types, key, learn_norm, unordered
from molebm.plausibility.observations import KINDS, PLANE, ROTAMER, ROTOR, TWIST, Observations
from tests.plausibility.conftest import embedded
from tests.plausibility.measuring import measured

MEAN, WIDTH, N = 0.05, 0.02, 2000


def topology(smiles: str):
    return topology_from_mol(Chem.AddHs(Chem.MolFromSmiles(smiles)))


def keys_by_atoms(found: Observations, number: np.ndarray) -> dict[tuple, list[int]]:
    """The keys of each term by its atoms, renumbered, however they are listed."""

    def name(atoms: list[int]) -> tuple:
        atoms = [int(number[atom]) for atom in atoms]
        if found.kind is PLANE:
            return atoms[1], *sorted(atoms)
        atoms = atoms[1:3] if found.kind in (ROTOR, ROTAMER, TWIST) else atoms
        return min(tuple(atoms), tuple(atoms[::-1]))

    return {name(atoms): keys for atoms, keys in zip(found.atoms.T.tolist(), found.keys.T.tolist(), strict=True)}


def test_keys_of_a_term_do_not_depend_on_the_order_of_atoms():
    mol = embedded("O=C(N1CCC1)C=Cc1ccccc1")
    order = np.random.default_rng(0).permutation(mol.GetNumAtoms())
    here = measured(mol).observations
    there = measured(Chem.RenumberAtoms(mol, order.tolist())).observations
    assert [found.kind for found in here] == list(KINDS)
    for one, other in zip(here, there, strict=True):
        assert one.keys.numel(), one.kind.name
        assert keys_by_atoms(one, np.arange(len(order))) == keys_by_atoms(other, order)


def test_finer_types_refine_coarser_ones():
    types = atom_types(topology("CC(=O)Nc1ccc(O)cc1C[N+](C)(C)CC(F)(F)Cl"))
    for finer, coarser in ((types.fine, types.coarse), (types.coarse, types.element)):
        for value in finer.unique():
            assert len(coarser[finer == value].unique()) == 1


def test_neighbours_make_a_finer_difference_alone():
    alcohol, fluoride = atom_types(topology("CCO")), atom_types(topology("CCF"))
    assert alcohol.coarse[1] == fluoride.coarse[1]
    assert alcohol.fine[1] != fluoride.fine[1]
    assert alcohol.fine[0] == fluoride.fine[0]


def test_charge_degree_and_aromaticity_make_a_coarse_difference():
    carbons = {int(atom_types(topology(smiles)).coarse[0]) for smiles in ("C", "C=O", "c1ccccc1", "[CH2-]C")}
    assert len(carbons) == 4


def test_key_depends_on_the_order_of_its_parts_and_unordered_takes_it_away():
    a, b = torch.tensor([1, 2, 3]), torch.tensor([3, 2, 1])
    assert (key(a, b) == key(b, a)).tolist() == [False, True, False]
    assert (key(*unordered(a, b)) == key(*unordered(b, a))).all()
    assert key(1, a[0], b[0]) != key(2, a[0], b[0])


def normal(n: int, mean: float = 0.0) -> torch.Tensor:
    return mean + WIDTH * torch.randn(n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)


def look_up(norm, *keys: int) -> tuple[float, float]:
    centre, scale = norm.look_up(torch.tensor(keys)[:, None])
    return float(centre), float(scale)


def test_common_environment_stands_as_it_was_seen():
    values = torch.cat([normal(N), normal(N + 1, MEAN)])
    keys = torch.tensor([0] * N + [1] * (N + 1))[None]
    norm = learn_norm(values, keys, signed=True, least_scale=0.001)
    drawn = SHRINKAGE / N  # to the overall centre
    centre, scale = look_up(norm, 1)
    assert centre == pytest.approx(MEAN, abs=4 * WIDTH / N**0.5 + drawn * MEAN)
    assert scale == pytest.approx(WIDTH, rel=4 * (np.pi / 2 - 1) ** 0.5 / N**0.5 + 2 * drawn)


def test_rare_environment_stands_as_its_coarser_one():
    rare = FEWEST - 1
    values = torch.cat([normal(N), torch.full((rare,), MEAN, dtype=torch.float64)])
    keys = torch.tensor([[7] * (N + rare), [8] * N + [9] * rare])
    norm = learn_norm(values, keys, signed=True, least_scale=0.001)
    assert look_up(norm, 7, 9) == look_up(norm, 7, 1234) == look_up(norm, 7, 7)
    assert look_up(norm, 7, 8) != look_up(norm, 7, 9)
    assert look_up(norm, 1234, 1234) == (norm.centre, norm.scale)


def test_environment_is_drawn_to_its_coarser_one_by_what_that_counts_for():
    n = 4
    values = torch.cat([normal(N), torch.full((n,), MEAN, dtype=torch.float64)])
    keys = torch.tensor([[7] * (N + n), [8] * N + [9] * n])
    norm = learn_norm(values, keys, signed=True, least_scale=0.001)
    parent, _ = look_up(norm, 7)
    assert look_up(norm, 7, 9)[0] == pytest.approx((n * MEAN + SHRINKAGE * parent) / (n + SHRINKAGE))


def test_gross_error_among_the_trusted_moves_little():
    values, keys = normal(N), torch.zeros(1, N + 1, dtype=torch.int64)
    clean = look_up(learn_norm(values, keys[:, 1:], signed=True, least_scale=0.001), 0)
    spoiled = torch.cat([values, torch.tensor([1e6], dtype=torch.float64)])
    found = look_up(learn_norm(spoiled, keys, signed=True, least_scale=0.001), 0)
    assert found == pytest.approx(clean, abs=2 * OUTLIER * WIDTH / N)


def test_deviations_that_are_zero_at_best_are_held_against_zero():
    norm = learn_norm(normal(N, MEAN).abs(), torch.zeros(1, N, dtype=torch.int64), signed=False, least_scale=0.001)
    assert look_up(norm, 0)[0] == norm.centre == 0
    assert look_up(norm, 0)[1] > MEAN


def test_no_environment_is_known_better_than_the_least_scale():
    for values in (torch.zeros(N), torch.zeros(0)):
        keys = torch.zeros(2, len(values), dtype=torch.int64)
        for signed in (True, False):
            assert look_up(learn_norm(values, keys, signed=signed, least_scale=0.3), 0, 0) == pytest.approx((0, 0.3))
