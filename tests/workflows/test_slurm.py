"""The workflow on a real Slurm: two nodes on this machine, a job that is killed, a rerun, and books that add up."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SLURM = REPOSITORY / "tests" / "slurm" / "one_machine.sh"
ALLOWED = "MOLEBM_TEST_SLURM"
LONGEST = 600  # s
N_MOLECULES = 30
SHARD = "0001-of-0002"
GENERATE = ["--n-conformers", "2", "--energy", "mmff94", "--time-limit", "100000"]

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def why_not() -> str | None:
    if not os.environ.get(ALLOWED):
        return f"starts daemons and writes to /etc/slurm: set {ALLOWED}=1 where that may be"
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "Slurm's daemons are started by root alone"
    missing = [name for name in ("slurmctld", "slurmd", "munged", "sbatch") if shutil.which(name) is None]
    if missing:
        return f"{missing[0]} is not installed; Debian has it in slurm-wlm and munge"
    if find_spec("snakemake") is None or find_spec("snakemake_executor_plugin_slurm") is None:
        return 'Snakemake is not installed; pip install "molebm[hpc]"'
    return None


@pytest.fixture
def slurm():
    if reason := why_not():
        pytest.skip(reason)
    state = tempfile.mkdtemp(prefix="molebm-slurm-")  # that of pytest is closed to munge, which is not root
    os.chmod(state, 0o755)
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # by way of the end below
    started = subprocess.run([SLURM, "start", state], capture_output=True, text=True, check=False)
    try:
        if started.returncode == 3:
            pytest.skip(started.stderr.strip())
        assert started.returncode == 0, started.stderr
        yield
    finally:
        if started.returncode != 3:
            subprocess.run([SLURM, "stop", state], check=False, capture_output=True)
        shutil.rmtree(state, ignore_errors=True)
        signal.signal(signal.SIGTERM, before)


@pytest.fixture
def folder(tmp_path) -> Path:
    lines = (REPOSITORY / "data" / "drugs.smi").read_text().splitlines()[: N_MOLECULES - 1]
    (tmp_path / "in.smi").write_text("\n".join([*lines[:7], "C1CC unclosed", *lines[7:]]) + "\n")
    settings = {"input": "in.smi", "shards": 2, "table": "csv", "generate": {"options": " ".join(GENERATE)}}
    (tmp_path / "config.yaml").write_text(json.dumps({**settings, "score": {"wanted": False}}))
    return tmp_path


def snakemake(folder: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "snakemake", "-s", REPOSITORY / "workflows" / "Snakefile"]
    command += ["--workflow-profile", REPOSITORY / "workflows" / "profiles" / "slurm", "--retries", "0"]
    command += ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"]
    command += ["--seconds-between-status-checks", "2", "--latency-wait", "10", *options]
    command += ["--configfile", "config.yaml"]
    with (folder / "snakemake.log").open("a") as log:
        return subprocess.Popen(command, cwd=folder, env=environment(), stdout=log, stderr=log)


def environment() -> dict[str, str]:
    """Find this checkout and the commands beside this Python, in the jobs too."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}


def end(process: subprocess.Popen, folder: Path) -> int:
    try:
        return process.wait(LONGEST)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail((folder / "snakemake.log").read_text()[-4000:])


def job_of(rule: str, run: subprocess.Popen, folder: Path) -> str:
    """Number of the job that runs this rule, once it runs."""
    for _ in range(LONGEST * 5):
        if run.poll() is not None:
            break
        told = subprocess.run(["squeue", "-h", "-t", "R", "-o", "%i %k"], capture_output=True, text=True, check=True)
        for line in told.stdout.splitlines():
            if rule in line:
                return line.split()[0]
        time.sleep(0.2)
    pytest.fail(f"no job of {rule} ever ran: {(folder / 'snakemake.log').read_text()[-4000:]}")


def test_killed_job_is_run_again_and_every_input_is_there_once(slurm, folder):
    run = snakemake(folder)
    job = job_of(SHARD, run, folder)
    journal = folder / "results" / "shards" / f".{SHARD}.sdf.gz.journal"
    while run.poll() is None and not journal.exists():
        time.sleep(0.1)
    time.sleep(1)
    subprocess.run(["scancel", job], check=True)
    log = folder / "snakemake.log"
    assert end(run, folder) != 0, log.read_text()[-4000:]
    assert not (folder / "results" / "shards" / f"{SHARD}.sdf.gz").exists()
    assert end(snakemake(folder), folder) == 0, log.read_text()[-4000:]

    table = pd.read_csv(folder / "results" / "conformers.csv")
    assert sorted(table.input_record.unique()) == list(range(N_MOLECULES))
    assert table[table.status != "ok"].input_record.tolist() == [7]
    whole = [sys.executable, "-m", "molebm.cli.main", "generate", "in.smi", "-o", "whole.sdf.gz", "--quiet", *GENERATE]
    assert subprocess.run(whole, cwd=folder, env=environment(), check=False).returncode == 1
    for ending in (".sdf.gz", ".failures.csv"):
        merged = folder / "results" / f"conformers{ending}"
        assert merged.read_bytes() == (folder / f"whole{ending}").read_bytes()
