"""The Snakefile names every step, and refuses a configuration that it does not understand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
pytest.importorskip("snakemake", reason='pip install "molebm[hpc]"')


def dry_run(folder: Path, target: str, settings: dict) -> subprocess.CompletedProcess[str]:
    (folder / "in.smi").write_text("C\n")
    (folder / "config.yaml").write_text(json.dumps({"input": "in.smi", "train": {"library": "in.smi"}, **settings}))
    command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "workflows" / "Snakefile"), target, "-n", "-p"]
    command += ["--configfile", "config.yaml", "--cores", "2"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_both_jobs_are_planned_with_all_their_steps(tmp_path):
    conformers = dry_run(tmp_path, "conformers", {"shards": 12, "generate": {"options": "-n 5"}})
    assert conformers.returncode == 0, conformers.stderr
    told = conformers.stdout + conformers.stderr
    assert "--shard 7/12" in told and "--shard 12/12" in told and "-n 5" in told
    assert "--shards 12" in told and "conformers.parquet" in told and "conformers.html" in told
    model = dry_run(tmp_path, "model", {"train": {"library": "in.smi", "gpus": 4}})
    assert model.returncode == 0, model.stderr
    told = model.stdout + model.stderr
    assert "torchrun --standalone --nproc-per-node 4" in told and "--device cuda" in told
    assert all(rule in told for rule in ("prepare", "evaluate", "describe"))


@pytest.mark.parametrize("settings", [{"shards": 0}, {"sharts": 3}])
def test_configuration_that_is_wrong_is_refused_by_name(tmp_path, settings):
    result = dry_run(tmp_path, "conformers", settings)
    assert result.returncode != 0
    assert next(iter(settings)) in result.stdout + result.stderr
