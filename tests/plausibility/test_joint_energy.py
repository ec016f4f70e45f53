import numpy as np
import pytest
from scipy.stats import norm

from molebm.plausibility.joint_energy import learn_joint_energy

FOLDS = 3
N = 400  # of each class in each fold
APART = 2.0  # standard deviations


def gaussians(centre: float, seed: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.normal([centre, 0], [1, 3], (N, 2)) for _ in range(FOLDS)]


ONE_WAY = [np.zeros(N, dtype=np.int64)] * FOLDS


@pytest.fixture(scope="module")
def learned():
    return learn_joint_energy(gaussians(0, 1), gaussians(APART, 2), ONE_WAY)


def test_energy_tells_two_gaussians_apart_as_well_as_their_ratio_can(learned):
    """The best that can be, by Neyman and Pearson, is Phi(d / sqrt(2)) at a distance of d standard deviations."""
    trusted, wrong = (np.concatenate(gaussians(centre, seed)) for centre, seed in ((0, 3), (APART, 4)))
    low, high = learned(trusted), learned(wrong)
    share = (low[:, None] < high).mean()
    best = norm.cdf(APART / 2**0.5)
    assert share == pytest.approx(best, abs=4 * (best * (1 - best) / len(low)) ** 0.5)


def test_energies_are_log_odds(learned):
    """Gaussians that are d apart have log-odds of d²/2 at the centre of one, and even ones half way between."""
    usual, middle, wrong = learned(np.array([[0, 0], [APART / 2, 0], [APART, 0]]))
    assert middle == pytest.approx(0, abs=0.5)
    assert wrong == pytest.approx(APART**2 / 2, rel=0.4)
    assert usual == pytest.approx(-(APART**2) / 2, rel=0.4)


def test_rare_way_to_be_wrong_is_told_as_well_as_a_frequent_one():
    """Each is held against the trusted by itself, and both stand off by as much, on two sides."""
    left, right = gaussians(-2 * APART, 2), [each[:20] for each in gaussians(2 * APART, 3)]
    wrong = [np.concatenate(pair) for pair in zip(left, right, strict=True)]
    ways = [np.array([0] * N + [1] * 20)] * FOLDS
    energies = learn_joint_energy(gaussians(0, 1), wrong, ways)(np.array([[-2 * APART, 0], [0, 0], [2 * APART, 0]]))
    assert energies[0] == pytest.approx(energies[2], rel=0.3)
    assert energies[1] < min(energies[0], energies[2]) - 3


def test_network_of_a_fold_has_not_seen_it():
    trusted, wrong = gaussians(0, 1), gaussians(APART, 2)
    elsewhere = [wrong[0] + 5, *wrong[1:]]
    one, other = (learn_joint_energy(trusted, negatives, ONE_WAY) for negatives in (wrong, elsewhere))
    np.testing.assert_array_equal(one.of_member(0, trusted[0]), other.of_member(0, trusted[0]))
    assert np.abs(one.of_member(1, trusted[0]) - other.of_member(1, trusted[0])).max() > 0.1


def test_same_seed_gives_the_same_bits(learned):
    again = learn_joint_energy(gaussians(0, 1), gaussians(APART, 2), ONE_WAY)
    for name, values in vars(learned).items():
        np.testing.assert_array_equal(getattr(again, name), values)


def test_number_that_never_varies_says_nothing():
    constant = [np.zeros((N, 1))] * FOLDS
    learned = learn_joint_energy(constant, constant, ONE_WAY)
    assert np.isfinite(learned(np.array([[0.0], [1.0]]))).all()
