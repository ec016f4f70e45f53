"""Plots show the numbers that they are given, in the axes that they are given."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from molebm.errors import RequestError
from molebm.figures import (
    plot_energies,
    plot_free_energies,
    plot_torsion_profile,
    plot_training,
    read_training_log,
)
from molebm.figures.free_energies import free_energies, populations
from molebm.units import thermal_energy


@pytest.fixture
def axes():
    return Figure().add_subplot()


def test_the_axes_given_are_returned_and_others_made_where_none_are(axes):
    assert plot_energies([0, 1], [0, 0.5], axes) is axes
    assert plot_torsion_profile([0, 1], [0, 0.5], axes) is axes
    assert plot_free_energies([0, 1], [0, 0.5], axes) is axes
    assert plot_training([{"update": 1, "loss": 2.0}], axes) is axes
    assert plot_energies([0, 1], [0, 0.5]).figure is not axes.figure


def test_energies_are_above_the_lowest_and_points_as_large_as_weights(axes):
    plot_energies([-3.0, -1.0], [0.0, 1.5], axes, weights=[0.75, 0.25])
    (points,) = axes.collections
    np.testing.assert_allclose(points.get_offsets(), [[0, 0], [1.5, 2]])
    small, large = sorted(points.get_sizes())
    assert large > small


def test_a_profile_goes_all_the_way_round(axes):
    angles = np.arange(0, 360, 30.0)
    plot_torsion_profile(angles, np.cos(np.radians(angles)), axes, label="cosine")
    x, y = axes.get_lines()[0].get_data()
    assert x[0] < -180 < x[1] + 1e-9 and x[-1] >= 180 and np.all(np.diff(x) > 0)
    np.testing.assert_allclose(y, np.cos(np.radians(x)) + 1, atol=1e-12)


def test_half_a_profile_is_not_closed(axes):
    plot_torsion_profile([0, 30, 60], [0, 1, 2], axes)
    assert len(axes.get_lines()[0].get_xdata()) == 3


def test_populations_are_periodic_and_free_energies_follow_from_them():
    counts = populations([179, -181, 0, 0], [0, 360, 0, 0], bins=4)
    assert counts.sum() == 1 and counts[3, 2] == counts[2, 2] == 0.5
    found = free_energies(np.array([[0.75, 0.25], [0.0, 0.0]]), thermal_energy(300.0))
    assert found[0, 1] == pytest.approx(thermal_energy(300.0) * math.log(3))
    assert np.isnan(found[1]).all()


def test_free_energies_are_drawn_with_the_first_angle_across(axes):
    plot_free_energies([-170.0] * 3, [100.0] * 3, axes, bins=4)
    (image,) = axes.images
    row, column = np.argwhere(~np.ma.getmaskarray(image.get_array()))[0]  # rows rise along the second angle
    assert (row, column) == (3, 0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: plot_energies([0, 1], [0]),
        lambda: plot_torsion_profile([0, 1], [0]),
        lambda: plot_free_energies([0, 1], [0]),
        lambda: plot_free_energies([], []),
    ],
)
def test_numbers_that_do_not_belong_together_are_refused(call):
    with pytest.raises(RequestError, match="give"):
        call()


def written(folder: Path, *entries: dict, end: str = "") -> Path:
    (folder / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries) + end)
    return folder


def test_what_was_done_again_after_an_interruption_counts_once(tmp_path):
    entries = [{"update": update, "loss": loss} for update, loss in ((1, 3.0), (2, 2.0), (2, 1.5), (3, 1.0))]
    log = read_training_log(written(tmp_path, *entries, end='{"update": 4, "lo'))
    assert [(one["update"], one["loss"]) for one in log] == [(1, 3.0), (2, 1.5), (3, 1.0)]


@pytest.mark.parametrize(("text", "said"), [("", "no entries"), ("{}\n{}\n", "line 1")])
def test_a_log_that_is_none_is_refused(tmp_path, text, said):
    with pytest.raises(RequestError, match=said):
        read_training_log(written(tmp_path, end=text))
    with pytest.raises(RequestError, match="folder of a run"):
        read_training_log(tmp_path / "missing")


def test_stages_have_curves_of_their_own_and_validation_an_axis(axes):
    log = [
        {"update": 1, "stage": "cnce", "loss": 2.0, "pearson": None},
        {"update": 2, "stage": "cnce", "loss": 1.0, "pearson": 0.9},
        {"update": 3, "stage": "force matching", "loss": 8.0, "pearson": 0.95},
    ]
    plot_training(log, axes)
    assert [list(line.get_xdata()) for line in axes.get_lines()] == [[1, 2], [3]]
    right = next(one for one in axes.figure.axes if one is not axes)
    assert list(right.get_lines()[0].get_ydata()) == [0.9, 0.95]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "cnce",
        "force matching",
        "held out, pearson",
    ]


def test_runs_of_the_family_are_drawn_too(axes):
    plot_training([{"update": 1, "loss": -1.0, "validation": {"auroc": 0.7}}], axes)
    assert axes.get_yscale() == "linear"
    assert axes.figure.axes[1].get_ylabel() == "held out, auroc"
