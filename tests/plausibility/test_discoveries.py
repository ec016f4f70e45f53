import numpy as np
import pandas as pd
import pytest

from molebm.errors import RequestError
from molebm.plausibility.discoveries import discoveries, flag_discoveries

P = np.array([0.9, 0.035, 0.001, 0.039, 0.03])


def test_discoveries_are_those_of_a_calculation_by_hand():
    """At 0.05 the five limits are 0.01 to 0.05: the fourth smallest meets its own, and takes those before it along."""
    assert discoveries(P, 0.05).tolist() == [False, True, True, True, True]
    assert discoveries(P, 0.04).tolist() == [False, False, True, False, False]  # limits 0.008, 0.016, 0.024, 0.032
    assert not discoveries(P, 0.004).any()


def test_what_has_no_p_value_is_no_discovery_and_hides_none():
    with_gaps = np.insert(P, [0, 3, 3, 5], np.nan)
    found = discoveries(with_gaps, 0.05)
    assert not found[np.isnan(with_gaps)].any()
    np.testing.assert_array_equal(found[np.isfinite(with_gaps)], discoveries(P, 0.05))
    assert not discoveries([np.nan, np.nan], 0.5).any()
    assert discoveries([], 0.5).shape == (0,)


def test_false_discoveries_among_plausible_structures_alone_are_as_rare_as_asked():
    """With uniform p-values alone any discovery is false, and there is one with probability `rate` exactly."""
    rate, n = 0.2, 2000
    uniform = np.random.default_rng(0).uniform(size=(n, 10))
    share = np.mean([discoveries(p, rate).any() for p in uniform])
    assert share == pytest.approx(rate, abs=4 * (rate * (1 - rate) / n) ** 0.5)


@pytest.mark.parametrize("rate", [0, 1, -0.1, np.nan])
def test_rate_out_of_range_is_refused(rate):
    with pytest.raises(RequestError, match="false discoveries"):
        discoveries(P, rate)


def test_fault_is_flagged_whatever_its_p_value_and_what_has_no_score_is_left_open():
    table = pd.DataFrame(
        {
            "score": [5.0, 9.0, 0.1, 9.0, np.nan],
            "p_value": [0.001, 0.9, 0.9, np.nan, np.nan],
            "stereo_score": [0.0, 1.0, 0.0, np.nan, np.nan],
            "graph_score": [0.0, 0.0, 0.0, 2.0, np.nan],
            "flagged": pd.array([False] * 5, dtype="boolean"),
        }
    )
    flagged = flag_discoveries(table, 0.05).flagged
    assert flagged[:4].tolist() == [True, True, False, True]
    assert flagged[4] is pd.NA
    assert not table.flagged.any(), "the table given stays"
