"""Boltzmann cross-entropy: relative energies fitted where they matter, among the lowest conformers."""

from torch import Tensor
from torch.nn.functional import cross_entropy


def boltzmann_cross_entropy(energy: Tensor, reference: Tensor, kT: float | Tensor) -> Tensor:
    r"""Compare the Boltzmann weights of one molecule's conformers under two energies.

    .. math:: L = -\Big\langle \sum_c w_c \ln q_c \Big\rangle, \qquad
              w_c = \frac{e^{-E^{ref}_c/kT}}{\sum_d e^{-E^{ref}_d/kT}}, \quad
              q_c = \frac{e^{-E_c/kT}}{\sum_d e^{-E_d/kT}}

    Convex in E, and least, at the entropy of w, where E is the reference + a constant per molecule. Which
    conformers are listed changes what counts and not where the minimum is: they need not be
    samples. Errors weigh as the populations do; a conformer many kT up is only kept from coming down.

    Parameters
    ----------
    energy, reference
        (G, C) kcal/mol.
    kT
        One temperature per molecule: a number or (G, 1).

    References
    ----------
    Cao, Qin, Liu, Tsai and Li, ICML 129 (2007); Shell, J. Chem. Phys. 129, 144108 (2008).
    """
    return cross_entropy(-energy / kT, (-reference / kT).softmax(dim=1))
