"""Scores along a trajectory: what is drawn is what was given."""

import math

import numpy as np
import pytest

from molebm.errors import RequestError
from molebm.figures.score_trace import plot_score_trace, score_trace


def test_every_score_is_drawn_at_its_place_and_those_flagged_apart():
    axes = plot_score_trace([0, 10, 20], [0.5, 2.0, math.nan], [False, True, False], alpha=0.05)
    (line, limit) = axes.lines
    np.testing.assert_array_equal(line.get_xydata()[:2], [[0, 0.5], [10, 2.0]])
    assert limit.get_ydata()[0] == pytest.approx(1.301, abs=1e-3)
    np.testing.assert_array_equal(axes.collections[1].get_offsets(), [[10, 2.0]])


def test_channels_that_are_missing_everywhere_are_left_out():
    channels = {"geometry": [0.1, 2.0], "stereo": [math.nan, math.nan], "torsions": [0.5, math.nan]}
    figure = score_trace([0, 5], [0.5, 2.0], [False, True], channels, alpha=0.05, place="frame")
    below = figure.axes[1]
    assert [label.get_text() for label in below.get_yticklabels()] == ["geometry", "torsions"]
    assert below.get_xlabel() == "frame"
    np.testing.assert_allclose(below.get_xlim(), [-2.5, 7.5], atol=0.5)


@pytest.mark.parametrize("n", [0, 1])
def test_very_short_trajectories_are_drawn_too(n):
    channels = {"geometry": [1.0] * n}
    score_trace(range(n), [1.0] * n, [False] * n, channels, alpha=0.05, place="frame").draw_without_rendering()


def test_numbers_that_do_not_fit_together_are_told():
    with pytest.raises(RequestError, match="2 places, 3 scores"):
        plot_score_trace([0, 1], [0.0, 1.0, 2.0], [False, False])
