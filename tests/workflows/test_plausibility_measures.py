"""Measures of scores are what they are called, where the answer is known."""

import numpy as np
import pytest
from plausibility_measures import auroc, discoveries, false_discovery, rank_correlation, share
from plausibility_tables import Case, auroc_table, scores_of
from structure_changes import rng


def test_auroc_is_the_share_of_pairs_in_order_with_ties_as_half():
    clean, defects = np.array([1.0, 2, 2, 5]), np.array([2.0, np.inf, 0])
    pairs = [(d > c) + (d == c) / 2 for d in defects for c in clean]
    assert auroc(clean, defects, np.array([0, 1, 2]), rng()).value == pytest.approx(np.mean(pairs))


def test_interval_of_auroc_holds_it_and_narrows_with_more_parents():
    widths = []
    for n in (30, 3000):
        clean = rng(1).normal(size=n)
        found = auroc(clean, clean + 1, np.arange(n), rng())
        assert found.low < found.value < found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 3


def test_what_is_apart_has_an_auroc_of_one_in_every_resample():
    assert auroc(np.zeros(5), np.ones(3), np.array([0, 0, 4]), rng()) == (1, 1, 1)


def test_discoveries_are_those_of_benjamini_and_hochberg():
    p_values = np.array([0.01, 0.9, 0.04, 0.03, 0.2])  # 0.03 is above 2/5, 0.04 is below 3/5 of 0.07
    assert discoveries(p_values, 0.07).tolist() == [True, False, True, True, False]
    assert not discoveries(p_values, 0.04).any()


def test_share_of_false_discoveries_is_at_most_nominal_and_clear_defects_are_found():
    clean = rng(2).uniform(size=2000)
    false, found = false_discovery(clean, np.full(500, 1e-4), contamination=0.2, rate=0.1, generator=rng())
    assert false < 0.1
    assert found == 1


def test_wilson_interval_of_none_is_not_empty():
    assert share([False] * 10) == pytest.approx((0, 0, 1.96**2 / (10 + 1.96**2)))


def test_equal_scores_do_not_rise():
    assert rank_correlation([0, 1, 2], [5, 5, 5]) == 0
    assert rank_correlation([0, 1, 2], [1, 4, np.inf]) == pytest.approx(1)


def test_parents_without_a_score_are_left_out_with_their_defects():
    cases = [Case(0, "noise", 0.1, ()), Case(1, "noise", 0.1, ())]
    found = auroc_table({"peer": scores_of([1, np.nan], [np.nan, 0])}, cases, "peer", 0)
    assert found.splitlines()[2].startswith("| noise 0.1 Å | 2 | 1.000 (1.00-1.00) | 100.0")


def test_the_best_of_the_peers_is_what_molebm_is_held_against():
    cases = [Case(parent, "bond", by, ()) for parent in (0, 1) for by in (-0.1, 0.1)]
    clean = [0.0, 1.0]
    methods = {"molebm": scores_of(clean, [2] * 4), "a": scores_of(clean, [0.5] * 4), "b": scores_of(clean, [-1] * 4)}
    rows = auroc_table(methods, cases, None, 0).splitlines()
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| bond ±0.1 Å", "| all"]
    assert all(row.endswith("+0.500 |") for row in rows[2:])
