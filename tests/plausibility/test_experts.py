import numpy as np
import pytest

from molebm.plausibility.calibration import EXPERTS, Expert, Source, mixture
from molebm.plausibility.experts import LARGEST_WEIGHT, learn_experts
from molebm.plausibility.statistics import SPREAD, STATISTICS, STRAIN

N = 40
NAMES = (*STATISTICS, SPREAD, STRAIN)


def numbers(seed: int, **factors: float) -> dict[str, np.ndarray]:
    """Statistics of N structures, all of one law but for some factors."""
    generator = np.random.default_rng(seed)
    return {name: 2 * factors.get(name, 1.0) * generator.lognormal(size=N) for name in NAMES}


@pytest.fixture(scope="module")
def trusted() -> Source:
    return Source("made up", numbers(1), np.full(N, 20.0))


@pytest.fixture(scope="module")
def experts(trusted) -> dict[str, Expert]:
    return learn_experts(trusted, [numbers(2, bonds=30.0)])


def scores(source: Source, experts, statistics) -> np.ndarray:
    return mixture({name: source.surprises[name](values) for name, values in statistics.items()}, experts)


def test_statistic_that_tells_perturbed_structures_is_made_more_of(experts):
    assert set(experts) == set(EXPERTS)
    surprise = 5.0
    made_of = {name: offset + weight * surprise for name, (offset, weight) in experts.items()}
    assert max(made_of, key=made_of.get) == "bonds"
    assert experts["bonds"].weight > max(weight for name, (_, weight) in experts.items() if name != "bonds")


def test_more_unusual_never_scores_less(experts):
    assert all(0 < weight <= LARGEST_WEIGHT for _, weight in experts.values())


def test_weighing_ranks_pairs_better_than_making_as_much_of_all(trusted, experts):
    right, wrong = numbers(4), numbers(5, bonds=8.0)

    def share_of_pairs(weighed) -> float:
        low, high = scores(trusted, weighed, right), scores(trusted, weighed, wrong)
        return (high[:, None] > low).mean()

    assert share_of_pairs(experts) > share_of_pairs(dict.fromkeys(EXPERTS, Expert(0.0, 1.0))) > 0.5


def test_another_family_makes_more_of_what_tells_it(trusted, experts):
    both = learn_experts(trusted, [numbers(2, bonds=30.0), numbers(3, angles=30.0)])
    assert both["angles"].weight > experts["angles"].weight


def test_families_count_alike_whatever_their_size(trusted, monkeypatch):
    monkeypatch.setattr("molebm.plausibility.experts.UPDATES", 50)
    first, second = numbers(2, bonds=30.0), numbers(3, angles=30.0)
    larger = {name: np.tile(values, 2) for name, values in second.items()}
    assert learn_experts(trusted, [first, second]) == learn_experts(trusted, [first, larger])


def test_only_differences_between_offsets_count(trusted, experts):
    assert sum(offset for offset, _ in experts.values()) == pytest.approx(0, abs=0.001 * len(experts))
    moved = {name: Expert(offset + 3, weight) for name, (offset, weight) in experts.items()}
    here, there = (scores(trusted, weighed, numbers(6)) for weighed in (experts, moved))
    np.testing.assert_allclose(there - here, 3)
