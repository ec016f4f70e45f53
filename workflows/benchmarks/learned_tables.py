"""The figures of a learned energy as Markdown tables, each with what was aimed at in its last column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

AIMS: Final = {
    "500 K": "r ≥ 0.99, slope 0.97–1.03, RMSE ≤ 1 kcal/mol",
    "300–800 K": "r ≥ 0.995, slope 0.97–1.03, RMSE ≤ 1 kcal/mol",
    "forces": "≤ 3",
    "excess": "≤ 0.05",
    "rmsd": "≤ 0.1",
    "spearman": "≥ 0.9",
    "reweighting": "≥ 50 %",
    "stability": "all",
}
_SUBSETS: Final = {"elements": "element", "charges": "charge", "groups": "functional group"}


def tables(figures: Mapping[str, Any]) -> str:
    """Lay out the figures that `learned_energy.py --json` writes."""
    return "\n\n".join(_sections(figures))


def missed(figures: Mapping[str, Any]) -> list[str]:
    """Say in words which aims were not reached, of those that were measured."""
    f, s = figures, figures["structures"]
    checks = []
    for row, least in ((_samples(f["energies"], "500 K"), 0.99), (_samples(f["energies"], "300–800 K"), 0.995)):
        at = row["samples"]
        checks += [
            (row["pearson"] >= least, f"Pearson r at {at} is {row['pearson']:.4f}, {least} was aimed at"),
            (0.97 <= row["slope"] <= 1.03, f"the slope at {at} is {row['slope']:.3f}, 0.97 to 1.03 was aimed at"),
            (row["rmse"] <= 1, f"the energy RMSE at {at} is {row['rmse']:.2f} kcal/mol, 1 was aimed at"),
        ]
    force = _samples(f["forces"], "500 K")["rmse"]
    checks += [
        (force <= 3, f"the force RMSE at 500 K is {force:.2f} kcal/mol/Å, 3 was aimed at"),
        (s["excess"] <= 0.05, f"learned minima lie {s['excess']:.3f} kcal/mol per atom too high, 0.05 was aimed at"),
        (s["rmsd"] <= 0.1, f"learned minima are {s['rmsd']:.2f} Å from those of MMFF94, 0.1 was aimed at"),
        (s["spearman"] >= 0.9, f"Spearman's ρ of conformers is {s['spearman']:.2f}, 0.9 was aimed at"),
    ]
    if "reweighting" in f:
        share = f["reweighting"]["median"]
        checks.append((share >= 0.5, f"the effective sample size is {100 * share:.0f} %, 50 % was aimed at"))
    if "stability" in f:
        whole, n = f["stability"]["n_whole"], f["stability"]["n_molecules"]
        checks.append((whole == n, f"{n - whole} of {n} molecules broke in the stability run"))
    return [words for reached, words in checks if not reached]


def _samples(rows: Sequence[Mapping[str, Any]], label: str) -> Mapping[str, Any]:
    return next(row for row in rows if row["samples"] == label)


def _sections(f: Mapping[str, Any]) -> Iterator[str]:
    references = f["references"]
    yield (
        f"{references['n_molecules']} molecules of the {references['split']} split, "
        f"{references['n_atoms_median']:.0f} atoms in the median. Medians are over "
        "molecules; energies have each molecule's offset removed."
    )
    yield _table(
        ("samples", "Pearson r, median", "10th percentile", "slope", "RMSE, kcal/mol", "spread, kcal/mol", "aim"),
        [
            (
                row["samples"],
                f"{row['pearson']:.4f}",
                f"{row['pearson_p10']:.4f}",
                f"{row['slope']:.3f}",
                f"{row['rmse']:.2f}",
                f"{row['spread']:.2f}",
                AIMS.get(row["samples"], ""),
            )
            for row in f["energies"]
        ],
    )
    yield _table(
        ("forces", "RMSE of a component, median", "90th percentile", "RMS of the reference's", "aim, kcal/mol/Å"),
        [
            (
                row["samples"],
                f"{row['rmse']:.2f}",
                f"{row['rmse_p90']:.2f}",
                f"{row['size']:.1f}",
                AIMS["forces"] if row["samples"] == "500 K" else "",
            )
            for row in f["forces"]
        ],
    )
    yield _table(
        ("minima and dynamics", "molecules", "median", "tail", "aim"), [*_structures(f["structures"]), *_dynamics(f)]
    )
    yield _how_structures(f["structures"])
    if "reweighting" in f:
        yield _how_reweighted(f["reweighting"])
    for key, title in _SUBSETS.items():
        yield _table(
            (title, "molecules", "Pearson r at 500 K", "slope", "RMSE, kcal/mol", "force RMSE, kcal/mol/Å"),
            [_subset_row(row) for row in f[key]],
        )


def _structures(s: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    n = str(s["n_molecules"])
    yield (
        "MMFF94 energy of learned minima above the MMFF94 minimum below, kcal/mol per atom",
        n,
        f"{s['excess']:.4f}",
        f"90 % below {s['excess_p90']:.3f}",
        AIMS["excess"],
    )
    for key, atoms, aim in (("rmsd", "all atoms", AIMS["rmsd"]), ("heavy_rmsd", "heavy atoms", "")):
        yield (f"RMSD between the two, {atoms}, Å", n, f"{s[key]:.3f}", f"90 % below {s[key + '_p90']:.2f}", aim)
    yield (
        "Spearman ρ of conformer energies, learned minima against MMFF94 minima",
        str(s["n_ranked"]),
        f"{s['spearman']:.3f}",
        f"90 % above {s['spearman_p10']:.2f}",
        AIMS["spearman"],
    )
    yield (
        "RMSE of those energies, kcal/mol",
        str(s["n_ranked"]),
        f"{s['conformer_rmse']:.2f}",
        f"spread {s['conformer_spread']:.2f}",
        "",
    )


def _how_structures(s: Mapping[str, Any]) -> str:
    return (
        f"The {s['n_conformers']} stored minima are relaxed in the learned energy and from there in MMFF94 again: "
        f"{100 * s['converged']:.1f} % converged in both, {100 * s['same_conformer']:.0f} % came back to the energy "
        f"they left. Ranked are the {s['n_conformers_ranked']} conformers farther than {s['apart']:g} kcal/mol from "
        "each other in MMFF94, of the molecules with at least four."
    )


def _how_reweighted(r: Mapping[str, Any]) -> str:
    by_share = sorted(r["molecules"], key=lambda row: -row["fraction"])
    each = ", ".join(f"{row['name']} {100 * row['fraction']:.0f}" for row in by_share)
    return (
        "Reweighted are the samples of the small molecules of the split and of a list of well-known ones, as far as "
        f"their scaffolds are in no training set; the effective sample size of each in per cent: {each}."
    )


def _dynamics(f: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    if "reweighting" in f:
        r = f["reweighting"]
        yield (
            f"effective sample size at {r['temperature']:.0f} K, reweighted to MMFF94, at most {r['max_atoms']} atoms",
            str(len(r["molecules"])),
            f"{100 * r['median']:.0f} %",
            f"90 % above {100 * r['p10']:.0f} %",
            AIMS["reweighting"],
        )
    if "stability" in f:
        s = f["stability"]
        yield (
            f"no bond broken in {s['n_chains']} × {s['picoseconds']:.0f} ps of BAOAB at {s['temperature']:.0f} K",
            str(s["n_molecules"]),
            f"{s['n_whole']} whole",
            "",
            AIMS["stability"],
        )


def _subset_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    if not row["n_molecules"]:
        return (row["name"], "0", "", "", "", "")
    return (
        row["name"],
        str(row["n_molecules"]),
        f"{row['pearson']:.4f}",
        f"{row['slope']:.3f}",
        f"{row['rmse']:.2f}",
        f"{row['force_rmse']:.2f}",
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["--:"] * (len(head) - 2), "---"], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
