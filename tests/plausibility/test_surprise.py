import numpy as np
import pytest

from molebm.plausibility.surprise import TAIL, Surprise, conformal_p_value

N = 400
SAMPLES = {
    "lognormal": np.random.default_rng(1).lognormal(size=N),
    "few": np.array([1.0, 2.0, 2.5]),
    "one": np.array([3.0]),
    "ties at the start of the tail": np.repeat([1.0, 2.0, 3.0], [50, 45, 5]),
    "mostly nothing": np.concatenate([np.zeros(95), np.linspace(1, 2, 5)]),
    "all nothing": np.zeros(30),
    "all the same": np.ones(30),
}


@pytest.fixture(params=SAMPLES)
def trusted(request) -> np.ndarray:
    return SAMPLES[request.param]


def test_larger_numbers_are_never_less_surprising(trusted):
    x = np.sort(np.concatenate([np.linspace(0, 4, 4001), np.geomspace(1e-12, 1e9, 2001), trusted]))
    surprise = Surprise(trusted)(x)
    assert np.isfinite(surprise).all()
    assert (np.diff(surprise) >= 0).all()


def test_least_trusted_number_is_no_surprise(trusted):
    assert Surprise(trusted)(trusted.min()) == 0
    assert Surprise(trusted)(trusted.min() / 2) == 0


def test_numbers_that_differ_little_surprise_alike(trusted):
    """Steps as short as 1e-6 of a number change the surprise by what the steepest of its parts allows."""
    surprise = Surprise(trusted)
    apart = np.unique(trusted)
    steepest = max(20.0, np.log(len(trusted)) * apart.max() / np.diff(apart).min(initial=np.inf))  # per logarithm
    x = np.geomspace(0.5, 5, 20000)
    jumps = np.diff(surprise(np.sort(np.concatenate([x, x * (1 + 1e-6)])))[::1])
    steps = np.diff(np.log(np.sort(np.concatenate([x, x * (1 + 1e-6)]))))
    assert (jumps <= steepest * steps + 1e-9).all()


def test_within_the_trusted_numbers_it_is_their_share():
    ordered = np.sort(SAMPLES["lognormal"])
    within = int((1 - TAIL) * N)
    n_at_least = N - np.arange(within)
    np.testing.assert_allclose(Surprise(ordered)(ordered[:within]), -np.log(n_at_least / N))


def test_tail_falls_as_the_trusted_numbers_do():
    """Of a Pareto law, doubling the number adds exponent · ln 2; Hill's estimate has the error exponent / √k."""
    exponent, n = 3.0, 20000
    trusted = 1 + np.random.default_rng(2).pareto(exponent, n)
    found = np.diff(Surprise(trusted)([10.0, 20.0]))[0] / np.log(2)
    assert found == pytest.approx(exponent, abs=4 * exponent / (TAIL * n) ** 0.5)


def test_what_few_trusted_structures_have_is_about_as_surprising_as_it_is_rare():
    trusted = SAMPLES["mostly nothing"]
    assert Surprise(trusted)(1.0) == pytest.approx(np.log(20))
    assert np.log(20) < Surprise(trusted)(2.0) < 10


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.31])
def test_flagging_below_alpha_alarms_falsely_on_at_most_alpha_of_plausible_inputs(alpha):
    """Any of n + 1 exchangeable numbers is as likely as another to be the new one: count them all."""
    numbers = np.random.default_rng(0).lognormal(size=41)
    p = np.array([conformal_p_value(number, np.delete(numbers, place)) for place, number in enumerate(numbers)])
    n_flagged = int((p <= alpha).sum())
    assert n_flagged <= alpha * len(numbers) < n_flagged + 1  # and on no fewer than that allows


def test_p_value_counts_the_plausible_structures_that_score_as_high():
    assert conformal_p_value([0.0, 2.0, 2.5, 4.0], [2.0, 1.0, 3.0, 2.0]).tolist() == [1, 4 / 5, 2 / 5, 1 / 5]


@pytest.mark.parametrize("number", [np.inf, np.nan])
def test_what_is_no_finite_number_is_as_unlikely_as_the_calibration_can_tell(number):
    assert conformal_p_value(number, np.arange(19.0)) == 1 / 20
