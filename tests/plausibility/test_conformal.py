import pytest
import torch

from molebm.plausibility.conformal import conformal_p_value


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.31])
def test_flagging_below_alpha_alarms_falsely_on_at_most_alpha_of_plausible_inputs(alpha):
    """Any of n + 1 exchangeable scores is as likely as another to be the new one: count them all."""
    scores = torch.randn(41, generator=torch.Generator().manual_seed(0)).exp()
    others = [torch.cat([scores[:i], scores[i + 1 :]]) for i in range(len(scores))]
    p = torch.stack([conformal_p_value(score, rest) for score, rest in zip(scores, others, strict=True)])
    n_flagged = int((p <= alpha).sum())
    assert n_flagged <= alpha * len(scores) < n_flagged + 1  # and on no fewer than that allows


def test_p_value_counts_the_plausible_structures_that_score_as_high():
    calibration = torch.tensor([2.0, 1.0, 3.0, 2.0])
    p = conformal_p_value(torch.tensor([0.0, 2.0, 2.5, 4.0]), calibration)
    assert p.tolist() == [1, 4 / 5, 2 / 5, 1 / 5]


def test_infinite_score_is_as_unlikely_as_the_calibration_can_tell():
    assert conformal_p_value(torch.tensor(torch.inf), torch.arange(19.0)) == 1 / 20
