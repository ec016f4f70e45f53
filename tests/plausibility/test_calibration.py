import json

import numpy as np
import pytest

from molebm.errors import CheckpointError, RequestError
from molebm.plausibility.calibration import Calibration, load_calibration, to_json
from molebm.plausibility.environments import Norm
from molebm.plausibility.joint_energy import JointEnergy
from molebm.plausibility.observations import KINDS
from molebm.plausibility.profile import PROFILE, WITHOUT_STRAIN
from molebm.plausibility.statistics import DRIFT, JOINT, JOINT_WITHOUT_STRAIN, STRAIN
from molebm.plausibility.yardstick import CHANNELS, FEWEST_OF_SIZE, SIZE_TAIL, Source, Yardstick

NAMES = (*(kind.name for kind in KINDS), DRIFT, STRAIN, JOINT)
ALL = frozenset(NAMES)
N = 200
FIVE_DIGITS = 5e-5


def numbers(n: int, seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {name: generator.lognormal(size=n) for name in NAMES}


def made_source(n: int = N, seed: int = 0) -> Source:
    joint = {JOINT: made_joint(len(PROFILE)), JOINT_WITHOUT_STRAIN: made_joint(len(WITHOUT_STRAIN))}
    return Source("made up", numbers(n, seed), np.full(n, 20.0), joint)


def made_joint(n_numbers: int) -> JointEnergy:
    draw = np.random.default_rng(n_numbers).normal
    return JointEnergy(
        draw(size=(2, n_numbers)), np.exp(draw(size=(2, n_numbers))), draw(size=(2, n_numbers, 3)), draw(size=(2, 3)),
        draw(size=(2, 3, 4)), draw(size=(2, 4)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    keys = np.array([-(2**62) - 1, 5, 2**62 + 1])  # beyond what a double holds
    norm = Norm(0.01, 0.123456789, keys, np.array([0.1, 0.2, 1 / 3]), np.array([1.0, 2.0, 1e-7]))
    sources = {"crystal": made_source(), "computed": made_source(30, seed=1)}
    return Calibration("learned", {kind.name: norm for kind in KINDS}, sources)


@pytest.fixture(scope="module")
def yardstick() -> Yardstick:
    return Yardstick(made_source(), ALL)


def judged(yardstick: Yardstick, statistics, n_faults=0, heavy=20.0):
    n = len(next(iter(statistics.values())))
    return yardstick.judge(statistics, np.full(n, heavy), np.full(n, float(n_faults)))


def middling(n: int = 1, **unusual: float) -> dict[str, np.ndarray]:
    """Statistics at the middle of a lognormal law, but for those given."""
    return {name: np.full(n, unusual.get(name, 1.0)) for name in NAMES}


def write(path, content) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def test_calibration_survives_its_file(calibration, tmp_path):
    path = tmp_path / "calibration.json"
    write(path, to_json(calibration))
    found = load_calibration(path)
    assert found.energy == calibration.energy
    assert list(found.sources) == list(calibration.sources)
    for name, source in calibration.sources.items():
        assert found.sources[name].provenance == source.provenance
        np.testing.assert_array_equal(found.sources[name].heavy_atoms, source.heavy_atoms)
        for statistic, values in source.statistics.items():
            np.testing.assert_allclose(found.sources[name].statistics[statistic], values, rtol=FIVE_DIGITS)
        for statistic, energy in source.joint.items():
            for part, values in vars(energy).items():
                np.testing.assert_allclose(
                    getattr(found.sources[name].joint[statistic], part), values, rtol=FIVE_DIGITS
                )
    for kind, norm in calibration.norms.items():
        np.testing.assert_array_equal(found.norms[kind].keys, norm.keys)
        np.testing.assert_allclose(found.norms[kind].scales, norm.scales, rtol=FIVE_DIGITS)
        assert (found.norms[kind].centre, found.norms[kind].scale) == (norm.centre, norm.scale)
    assert to_json(found) == to_json(calibration), "and no digit is lost the second time"


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.update(format=0),
        lambda content: content.pop("energy"),
        lambda content: content["norms"].pop("rotor"),
        lambda content: content["norms"]["rotor"].update(keys="few"),
        lambda content: content["sources"]["crystal"].update(statistics=3),
        lambda content: content["sources"]["crystal"]["joint"].pop("joint"),
    ],
)
def test_damaged_content_is_refused_by_name(calibration, damage, tmp_path):
    path = tmp_path / "mine.json"
    content = to_json(calibration)
    damage(content)
    write(path, content)
    with pytest.raises(CheckpointError, match=r"mine\.json.*calibrate again"):
        load_calibration(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\x00\x01"])
def test_file_that_is_no_calibration_is_refused(text, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_calibration(path)


def test_missing_file_is_told(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_calibration(tmp_path / "none.json")


def test_unknown_source_is_refused_with_those_there_are(calibration):
    assert calibration.yardstick("computed", ALL).source.n == 30
    with pytest.raises(RequestError, match="choose from crystal, computed"):
        calibration.yardstick("dreamt", ALL)


def test_p_values_of_structures_like_the_trusted_ones_are_as_small_as_often_as_they_say(yardstick):
    """Both samples being finite, the share has the variance of the one and of the other."""
    n, alpha = 4000, 0.1
    found = judged(yardstick, numbers(n, seed=5))
    tolerance = 4 * (alpha * (1 - alpha) * (1 / n + 1 / N)) ** 0.5
    for p_value in (found.p_value, *(p for _, p in found.channels.values())):
        assert (p_value <= alpha).mean() == pytest.approx(alpha, abs=tolerance)


def test_score_is_the_share_of_trusted_structures_that_score_as_high(yardstick):
    """Minus its common logarithm, where the trusted structures tell it."""
    found = judged(yardstick, yardstick.source.statistics)
    within = found.p_value > 0.15
    share = (found.p_value * (N + 1) - 1) / N
    np.testing.assert_allclose(found.score[within], -np.log10(share[within]), atol=1e-9)
    order = np.argsort(found.score)
    assert (np.diff(found.p_value[order]) <= 0).all()


@pytest.mark.parametrize("channel", CHANNELS)
def test_unusual_statistic_shows_in_its_channel_and_in_the_whole_alone(yardstick, channel):
    usual = judged(yardstick, middling())
    found = judged(yardstick, middling(**{CHANNELS[channel][0]: 1e9}))
    assert found.p_value[0] == found.channels[channel][1][0] == 1 / (N + 1)
    for other in set(CHANNELS) - {channel}:
        assert found.channels[other] == usual.channels[other]


@pytest.mark.parametrize("name", NAMES)
def test_more_unusual_never_scores_less(yardstick, name):
    statistics = middling(50) | {name: np.append(np.geomspace(1e-3, 1e9, 49), np.inf)}
    found = judged(yardstick, statistics)
    assert (np.diff(found.score) >= 0).all()
    assert (np.diff(found.p_value) <= 0).all()
    assert found.score[-1] > found.score[0]


def test_fault_outdoes_every_trusted_structure_and_two_are_worse(yardstick):
    best = judged(yardstick, yardstick.source.statistics).score.max()
    one, two = (judged(yardstick, middling(), n_faults) for n_faults in (1, 2))
    assert one.p_value[0] == 1 / (N + 1)
    assert two.score[0] > one.score[0] > best
    assert one.channels == judged(yardstick, middling()).channels


def test_what_is_not_measured_has_no_channel_and_no_part():
    without = Yardstick(made_source(), ALL - {STRAIN})
    found = judged(without, {name: values for name, values in middling().items() if name != STRAIN})
    assert set(found.channels) == set(CHANNELS) - {"strain"}
    assert found.score == judged(without, middling(strain=1e9)).score


def test_large_molecules_are_high_as_often_as_small_ones():
    """Statistics ten times as large in large molecules: each size has its own quantile."""
    n = 10 * FEWEST_OF_SIZE
    small, large = numbers(n, 1), numbers(n, 2)
    statistics = {name: np.concatenate([small[name], 10 * large[name]]) for name in NAMES}
    heavy = np.repeat([10.0, 40.0], n)
    yardstick = Yardstick(Source("", statistics, heavy, {}), ALL)
    p_value = yardstick.judge(statistics, heavy, np.zeros(2 * n)).p_value
    for size in (10.0, 40.0):
        share = (p_value[heavy == size] <= 1 - SIZE_TAIL).mean()
        assert share == pytest.approx(1 - SIZE_TAIL, abs=2 / n)


def test_few_structures_of_a_size_do_not_say_how_high_that_size_scores():
    few = FEWEST_OF_SIZE - 1
    source = Source("", {name: values * np.repeat([1, 10], [N, few]) for name, values in numbers(N + few, 0).items()},
                    np.repeat([20.0, 50.0], [N, few]), {})  # fmt: skip
    yardstick = Yardstick(source, ALL)
    assert judged(yardstick, middling(), heavy=50.0).score == judged(yardstick, middling(), heavy=20.0).score


def test_one_trusted_structure_in_twenty_exceeds_what_is_usual(yardstick):
    for name, values in yardstick.source.statistics.items():
        assert (values > yardstick.usual(name)).mean() == pytest.approx(0.05, abs=1 / N)
