"""Force matching: forces fitted to those of a reference energy."""

from torch import Tensor

from molebm.forcefield.energy import EnergyFn, energy_and_forces


def force_matching(energy_fn: EnergyFn, positions: Tensor, forces: Tensor) -> Tensor:
    r"""Mean squared error of one component of the force on one atom.

    .. math:: L = \langle |-\nabla E(x) - F|^2 \rangle / 3N

    Zero at the reference energy + const. and, unlike the contrastive objectives, wherever the positions
    come from: they need not be samples of any temperature.

    Parameters
    ----------
    energy_fn
        Differentiable twice, as the mechanical energies are.
    positions
        (3, N, C) Å.
    forces
        (3, N, C) kcal/mol/Å, of the reference; constants.

    Returns
    -------
    Tensor
        (kcal/mol/Å)².

    References
    ----------
    Ercolessi and Adams, Europhys. Lett. 26, 583 (1994).
    """
    return (energy_and_forces(energy_fn, positions, create_graph=True).forces - forces).square().mean()
