"""All rungs of a path weighed together, by the multistate Bennett acceptance ratio of pymbar."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from torch import Tensor

from molebm.errors import RequestError

SOLVER: Final = ({"method": "adaptive", "options": {"min_sc_iter": 0}},)
"""Of pymbar; its default tries one first whose options SciPy does not know."""


class Multistate(NamedTuple):
    """What the samples of all rungs say together of one molecule."""

    value: float  # ln Z1/Z0
    error: float  # its standard error, asymptotic, of samples taken as independent
    overlap: float  # share that the ends have in one another's neighbours: the least between two rungs


def multistate(first: Tensor, last: Tensor, schedule: Sequence[float]) -> Multistate:
    r"""Estimate :math:`\ln Z_1/Z_0` from the reduced energies (K, n) at both ends of samples at K rungs.

    Raises
    ------
    RequestError
        If pymbar is not installed.

    References
    ----------
    Shirts and Chodera, J. Chem. Phys. 129, 124105 (2008).
    """
    try:
        logging.getLogger("pymbar").setLevel(logging.ERROR)
        pymbar = importlib.import_module("pymbar")
    except ModuleNotFoundError as error:
        raise RequestError(
            "the estimate from all rungs together needs pymbar; install it with pip install 'molebm[family]'"
        ) from error
    u0, u1 = (each.double().cpu().numpy().reshape(-1) for each in (first, last))
    energies = np.stack([(1 - position) * u0 + position * u1 for position in schedule])
    counts = np.full(len(schedule), first.shape[1])
    found = pymbar.MBAR(energies, counts, solver_protocol=SOLVER)
    differences = found.compute_free_energy_differences()
    overlap = found.compute_overlap()["matrix"]
    return Multistate(
        -float(differences["Delta_f"][0, -1]),
        float(differences["dDelta_f"][0, -1]),
        float(np.diagonal(overlap, 1).min()),
    )
