"""Write what clean thermal structures score into a model's metadata, so that scores become p-values.

python workflows/calibrate.py REFERENCES MODEL.safetensors
"""

from __future__ import annotations

from pathlib import Path

import click
import torch

from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.models.checkpoint import load_model, write_json
from molebm.plausibility.calibration import ensemble_scores
from molebm.topology import concatenate
from molebm.training.shards import at_temperature, read_references

TEMPERATURE = 300.0  # K


@click.command()
@click.argument("references", type=click.Path(exists=True, path_type=Path))
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option("--per-molecule", default=4, show_default=True, help="Structures taken of each molecule.")
def main(references: Path, model: Path, per_molecule: int) -> None:
    """Calibrate on the validation and test molecules, whose scaffolds the model has not seen."""
    torch.set_num_threads(1)
    learned = load_model(model)
    unseen = [r for split in ("validation", "test") for r in read_references(references, split)]
    scores: list[float] = []
    for start in range(0, len(unseen), 32):
        batch = unseen[start : start + 32]
        topology = concatenate([r.topology for r in batch])
        columns = at_temperature(batch[0], TEMPERATURE)[:per_molecule]
        positions = torch.cat([r.positions[:, :, columns] for r in batch], dim=1)
        energy_fn = MechanicalEnergy(topology, learned.parameters(topology))
        found = ensemble_scores(energy_fn, topology, positions, TEMPERATURE).flatten()
        scores += [round(score, 4) for score in found[torch.isfinite(found)].tolist()]
    provenance = {
        "structures": f"MMFF94 Langevin samples at {TEMPERATURE:.0f} K of {len(unseen)} molecules not trained on",
        "per_molecule": per_molecule,
    }
    metadata = {**learned.metadata, "calibration": sorted(scores), "calibration_provenance": provenance}
    write_json(model.with_suffix(".json"), metadata)
    spread = torch.tensor(scores)
    click.echo(f"{len(scores)} calibration scores, mean {spread.mean():.3f}, standard deviation {spread.std():.3f}")


if __name__ == "__main__":
    main()
