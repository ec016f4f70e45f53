"""Flags that hold over a whole file: at most so many of them are false."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control

from molebm.errors import RequestError


def discoveries(p_values: ArrayLike, rate: float) -> NDArray[np.bool_]:
    """Tell which p-values are discoveries at this expected share of false ones; NaN never is.

    Conformal p-values that share their calibration depend on one another in a way for which the procedure holds.

    Raises
    ------
    RequestError
        If the rate is not between 0 and 1.

    References
    ----------
    Benjamini and Hochberg, J. R. Stat. Soc. B 57, 289 (1995); Bates et al., Ann. Stat. 51, 149 (2023).
    """
    if not 0 < rate < 1:
        raise RequestError(f"the rate of false discoveries is {rate}; it must be above 0 and below 1")
    values = np.asarray(p_values, dtype=float)
    found = np.zeros(len(values), dtype=bool)
    known = np.isfinite(values)
    if known.any():
        found[known] = false_discovery_control(values[known], method="bh") <= rate
    return found


def flag_discoveries(table: pd.DataFrame, rate: float) -> pd.DataFrame:
    """Flag the rows of a table of scores anew; a fault of stereo or of the graph is one whatever the others are."""
    faulty = (table["stereo_score"].fillna(0) > 0) | (table["graph_score"].fillna(0) > 0)
    flagged = pd.Series(discoveries(table["p_value"], rate), index=table.index) | faulty
    return table.assign(flagged=flagged.astype("boolean").where(table["score"].notna()))
