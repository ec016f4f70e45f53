"""Physical constants in the units used inside molebm: Å, kcal/mol, K, amu, fs."""

from typing import Final

BOLTZMANN: Final = 0.0019872042586  # kcal/mol/K
COULOMB: Final = 332.0716  # kcal/mol·Å/e², the value of MMFF94
MDYNE: Final = 143.9325  # kcal/mol/Å per mdyn, the value of MMFF94
ACCELERATION: Final = 4.184e-4  # Å/fs² per (kcal/mol/Å)/amu
KCAL_PER_KJ: Final = 1 / 4.184
HARTREE: Final = 627.5094740631  # kcal/mol
EV_PER_KCAL: Final = 4184 / (6.02214076e23 * 1.602176634e-19)  # eV per kcal/mol


def thermal_energy(temperature: float) -> float:
    """Return kT in kcal/mol at a temperature in K."""
    return BOLTZMANN * temperature
