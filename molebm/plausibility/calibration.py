"""What the structures of a thermal ensemble score: the scale that others are held against."""

import torch
from torch import Tensor

from molebm.forcefield.energy import EnergyFn
from molebm.plausibility.relaxation import relax, strain_score
from molebm.topology import Topology


def ensemble_scores(energy_fn: EnergyFn, topology: Topology, positions: Tensor, temperature: float = 300.0) -> Tensor:
    """Score conformers as `score` does, from tensors alone, (G, C).

    Of a sample of exp(-E/kT) at the temperature of the score, these are the calibration scores that
    `conformal_p_value` takes. A conformer whose energy is not finite scores NaN: leave it out.

    Parameters
    ----------
    positions
        (3, N, C) Å.
    temperature
        K.
    """
    with torch.no_grad():
        energy = energy_fn(positions)
        minimum = relax(energy_fn, topology, positions)
    return strain_score(energy - minimum.energy, topology, temperature)
