"""Differences of free energy by five estimators, against quadrature where that is exact and against each other.

    python workflows/benchmarks/family_free_energy.py

All are of F1/kT1 - F0/kT0 = -ln Z1/Z0 in kT, of molecules in a vacuum. Those of two or three atoms are integrated over
bond lengths and angle on a grid; of larger ones, MBAR (pymbar) over all rungs is the reference.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Iterator

import torch
from rdkit import Chem, rdBase
from torch import Tensor

from molebm.chem.graph import topology_from_mol
from molebm.conformers.free_energies import Estimate, FreeEnergySettings, molecule_free_energies
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.parametrise import named_energy
from molebm.units import thermal_energy

EXACT = {
    "water": "O",
    "hydrogen cyanide": "C#N",
    "cyanogen chloride": "N#CCl",
    "bromine chloride": "ClBr",
}
LARGER = {
    "butane": "CCCC",
    "ethylene glycol": "OCCO",
    "N-methylacetamide": "CNC(C)=O",
    "alanine": "C[C@H](N)C(=O)O",
    "phenol": "Oc1ccccc1",
    "anisole": "COc1ccccc1",
}
METHODS = ("ais", "ti", "bar", "mbar", "leap")


def exact(smiles: str, energy: str, kT: float, *, points: int = 81) -> float:
    """Minus ln Z of two or three atoms, by the trapezoidal rule over bond lengths and angle."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    topology = topology_from_mol(mol)
    parameters = named_energy(energy).parametrise([mol], topology).to(dtype=torch.float64)
    energy_fn = MechanicalEnergy(topology, parameters, "torch")
    widths = [6 * (kT / k) ** 0.5 for k in parameters.bond_k.tolist()]
    lengths = [
        torch.linspace(r - width, r + width, points, dtype=torch.float64)
        for r, width in zip(parameters.bond_length.tolist(), widths, strict=True)
    ]
    if len(lengths) == 1:
        (r,) = lengths
        x = torch.zeros(3, 2, points, dtype=torch.float64)
        x[0, 1] = r
        density = r.square() * torch.exp(-energy_fn(x)[0] / kT)
        return -math.log(torch.trapezoid(density, r).item())
    (a, _, b), bonds = topology.angles.T.tolist()[0], topology.bonds.T.tolist()
    first = next(n for n, bond in enumerate(bonds) if a in bond)
    theta = torch.linspace(0.5, math.pi, 4 * points, dtype=torch.float64)
    r1, r2, angle = torch.meshgrid(lengths[first], lengths[1 - first], theta, indexing="ij")
    x = torch.zeros(3, 3, r1.numel(), dtype=torch.float64)
    x[0, a] = r1.flatten()
    x[0, b], x[1, b] = (r2 * angle.cos()).flatten(), (r2 * angle.sin()).flatten()
    values = torch.cat([energy_fn(part)[0] for part in x.split(100_000, dim=2)]).view_as(r1)
    density = r1.square() * r2.square() * angle.sin() * torch.exp(-values / kT)
    total: Tensor = density
    for axis in (theta, lengths[1 - first], lengths[first]):
        total = torch.trapezoid(total, axis)
    return -math.log(total.item())


def estimated(smiles: str, settings: FreeEnergySettings) -> dict[str, Estimate]:
    steps = molecule_free_energies(Chem.MolFromSmiles(smiles), settings)
    try:
        while True:
            next(steps)
    except StopIteration as stop:
        return {one.method: one for one in stop.value.estimates}


def rows(
    several: dict[str, str], settings: FreeEnergySettings
) -> Iterator[tuple[str, float | None, dict[str, Estimate]]]:
    for name, smiles in several.items():
        found = estimated(smiles, settings)
        if several is EXACT:
            kT0, kT1 = thermal_energy(settings.temperature), thermal_energy(settings.end_temperature)
            yield name, exact(smiles, settings.last, kT1) - exact(smiles, settings.first, kT0), found
        else:
            yield name, None, found


def table(title: str, settings: FreeEnergySettings) -> None:
    began = time.process_time()
    heads = ("molecule", "exact", *(method for method in METHODS), "AIS bounds", "hysteresis", "ESS of the leap")
    print(f"\n{title}\n\n| " + " | ".join(heads) + " |\n| --- |" + " --: |" * (len(heads) - 1))
    deviations: dict[str, list[float]] = {method: [] for method in METHODS}
    scaled: dict[str, list[float]] = {method: [] for method in METHODS}
    for several in (EXACT, LARGER):
        for name, truth, found in rows(several, settings):
            reference = found["mbar"].value if truth is None else truth
            for method, one in found.items():
                if truth is not None or method != "mbar":
                    deviations[method].append(one.value - reference)
                    spread = math.hypot(one.error, found["mbar"].error if truth is None else 0.0)
                    scaled[method].append((one.value - reference) / spread)
            ais, leap = found["ais"], found["leap"]
            cells = [f"{found[method].value:.3f} ± {found[method].error:.3f}" for method in METHODS]
            bounds = f"{ais.lower:.3f} … {ais.upper:.3f}"
            shown = "" if truth is None else f"{truth:.3f}"
            print(
                f"| {name} | {shown} | " + " | ".join(cells) + f" | {bounds} | {found['ais'].hysteresis:.3f} | "
                f"{leap.effective_size:.0f} of {settings.n_chains} |",
                flush=True,
            )
    figures = ("RMS from the reference, kT", deviations), ("RMS over the error told", scaled)
    for what, of in figures:
        cells = [f"{math.sqrt(statistics.mean(d * d for d in of[method])):.3f}" for method in METHODS]
        print(f"| **{what}** | | " + " | ".join(cells) + " | | | |")
    print(f"\n{time.process_time() - began:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chains", type=int, default=32)
    arguments = parser.parse_args()
    rdBase.DisableLog("rdApp.*")
    torch.set_num_threads(1)
    common = {"n_chains": arguments.chains, "all_rungs": True}
    table("MMFF94 to the learned energy, 300 K", FreeEnergySettings(**common))
    hot = FreeEnergySettings(first="learned", last="learned", last_temperature=600.0, **common)
    table("The learned energy, 300 to 600 K", hot)


if __name__ == "__main__":
    main()
