"""Conditional noise-contrastive estimation: real conformers against their own noised copies."""

from torch import Tensor
from torch.nn.functional import softplus


def conditional_nce(energy: Tensor, energy_noised: Tensor, kT: float | Tensor) -> Tensor:
    r"""Tell each conformer from its own symmetrically noised copy.

    .. math:: L = \langle \ln(1 + e^{(E(x) - E(x'))/kT}) \rangle, \qquad x' = x + \sigma\xi

    Both belong to one molecule, so ln Z cancels in the difference and the partition function is
    never needed. The noise may have any width that does not depend on x.

    Parameters
    ----------
    energy, energy_noised
        (G, C) kcal/mol.

    References
    ----------
    Ceylan and Gutmann, ICML 2018, arXiv:1806.03664.
    """
    return softplus((energy - energy_noised) / kT).mean()
