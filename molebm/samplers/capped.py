"""Forces that cannot throw an atom out of the molecule, for annealing from bad starts."""

from dataclasses import dataclass

from torch import Tensor

from molebm.forcefield.energy import EnergyFn, EnergyForces, energy_and_forces


@dataclass(frozen=True, slots=True)
class CappedForces:
    """The same energy with the force on each atom shortened to `max_force`, its direction kept.

    A clash then moves an atom by at most ``step_size * max_force`` per step of `sgld` or `mala`. The capped
    forces are no longer the gradient of the energy: `sgld` and `baoab` do not sample exp(-E/kT) with them, so
    they are for annealing; `mala` stays exact, since its test uses the energy (the truncated MALTA of Roberts
    and Tweedie). A force that is not finite is left so.
    """

    energy_fn: EnergyFn
    max_force: float  # kcal/mol/Å

    def __call__(self, positions: Tensor) -> Tensor:
        return self.energy_fn(positions)

    def energy_and_forces(self, positions: Tensor) -> EnergyForces:
        """Evaluate the energy, and the forces after the cap."""
        energy, forces = energy_and_forces(self.energy_fn, positions)
        length = forces.square().sum(0).sqrt_()  # (N, C)
        return EnergyForces(energy, forces * (self.max_force / length).clamp(max=1))


def capped_forces(energy_fn: EnergyFn, *, max_displacement: float, step_size: float) -> CappedForces:
    """Cap the drift of `sgld` or `mala`, `step_size` times the force, at `max_displacement` Å per atom and step."""
    return CappedForces(energy_fn, max_displacement / step_size)
