"""The figures of a learned energy as Markdown tables, each with what was aimed at in its last column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

AIMS: Final = {
    "500 K": "r ≥ 0.99, slope 0.97–1.03, RMSE ≤ 1 kcal/mol",
    "300–800 K": "r ≥ 0.995, slope 0.97–1.03, RMSE ≤ 1 kcal/mol",
    "forces": "≤ 3 at 500 K",
    "excess": "≤ 0.05",
    "rmsd": "≤ 0.1",
    "spearman": "≥ 0.9",
    "reweighting": "≥ 50 %",
    "stability": "no bond broken in 1 ns",
}
_SUBSETS: Final = {"elements": "element", "charges": "charge", "groups": "functional group"}


def tables(figures: Mapping[str, Any]) -> str:
    """Lay out the figures that `learned_energy.py --json` writes."""
    return "\n\n".join(_sections(figures))


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
            (row["samples"], f"{row['rmse']:.2f}", f"{row['rmse_p90']:.2f}", f"{row['size']:.1f}", AIMS["forces"])
            for row in f["forces"]
        ],
    )
    yield _table(
        ("minima and dynamics", "molecules", "median", "tail", "aim"), [*_structures(f["structures"]), *_dynamics(f)]
    )
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
