"""The objectives against each other: same network, same data, same minutes of one core.

    python workflows/benchmarks/objectives.py REFERENCES --minutes 3

REFERENCES is a folder that `molebm prepare` made. Each row starts from random weights; "then" marks stages, "+" a sum.
Prints a Markdown table, a row as soon as it is there.
"""

from __future__ import annotations

from typing import Any

from timed_training import Comparison, Row, compare, comparison_command

NCE = {"objective": "conditional_nce"}
PCD = {"objective": "persistent_contrastive_divergence"}
FORCES = {"objective": "force_matching"}
POPULATIONS = {"objective": "boltzmann_cross_entropy"}
ROWS: dict[str, list[tuple[int, list[dict[str, Any]]]]] = {  # stages: share of the updates, objectives
    "conditional NCE": [(1, [NCE])],
    "InfoNCE, 7 negatives": [(1, [{"objective": "info_nce"}])],
    "conditional NCE, then CD-10": [(1, [NCE]), (9, [{"objective": "contrastive_divergence"}])],
    "conditional NCE, then PCD-10": [(1, [NCE]), (9, [PCD])],
    "conditional NCE, then PCD-10 tempered": [(1, [NCE]), (9, [{**PCD, "tempering": True}])],
    "denoising, 0.01 Å": [(1, [{"objective": "denoising_score_matching"}])],
    "denoising, 0.005-0.05 Å": [(1, [{"objective": "multilevel_denoising_score_matching"}])],
    "sliced score matching": [(1, [{"objective": "sliced_score_matching"}])],
    "conditional NCE, then sliced": [(1, [NCE]), (9, [{"objective": "sliced_score_matching"}])],
    "Boltzmann cross-entropy": [(1, [POPULATIONS])],
    "force matching": [(1, [FORCES])],
    "force matching + Boltzmann cross-entropy": [(1, [FORCES, POPULATIONS])],
    "force matching, then + PCD-10": [(7, [FORCES]), (3, [FORCES, PCD])],
}


@comparison_command(picoseconds=10.0)
def main(asked: Comparison) -> None:
    """Print the table."""
    stages = {
        label: [{"updates": 100 * share, "objectives": objectives} for share, objectives in parts]
        for label, parts in ROWS.items()
    }
    compare(asked, "objective", [Row(label, {"stages": found}) for label, found in stages.items()])


if __name__ == "__main__":
    main()
