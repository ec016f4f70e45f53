"""`molebm doctor` finds what is broken and says so in its exit code."""

import hashlib
import json
import shutil
import tomllib
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from molebm.cli import examination, main, trials
from molebm.cli.trials import TrialError
from molebm.models import checkpoint

REPOSITORY = Path(__file__).resolve().parents[2]


def run(*arguments: str):
    return CliRunner().invoke(main.cli, ["doctor", "--device", "cpu", *arguments], prog_name="molebm")


@pytest.fixture(scope="module")
def healthy():
    return run("--json")


def test_a_sound_installation_passes(healthy):
    found = json.loads(healthy.stdout)
    assert [one for one in found["checks"] if one["status"] == "broken"] == []
    assert (healthy.exit_code, found["broken"]) == (0, 0)
    assert {"kernel is MMFF94", "generate", "score", "model molebm-1"} <= {one["name"] for one in found["checks"]}


def test_every_line_of_its_log_is_json(healthy):
    assert [json.loads(line)["event"] for line in healthy.stderr.splitlines()][::2] == ["start", "done"]


def test_what_is_broken_is_named_and_the_rest_is_still_looked_at(monkeypatch):
    def fails(device):
        raise TrialError("energies differ by 3 kcal/mol")

    monkeypatch.setattr(examination, "TRIALS", {"kernel is MMFF94": fails, "last": lambda device: "fine"})
    monkeypatch.setitem(examination.REQUIRED, "left-pad", "molebm_lacks_this")
    monkeypatch.setitem(examination.OPTIONAL, "right-pad", ("molebm_lacks_that", "viz"))
    result = run()
    assert result.exit_code == 1
    assert "BROKEN kernel is MMFF94" in result.stdout and "3 kcal/mol" in result.stdout
    assert "BROKEN left-pad" in result.stdout and "molebm_lacks_this" in result.stdout
    assert 'pip install "molebm[viz]"' in result.stdout
    assert "ok     last" in result.stdout
    assert "2 of" in result.stderr


def test_a_damaged_model_is_found_by_its_checksum(tmp_path):
    shipped = tmp_path / "shipped"
    shutil.copytree(checkpoint.SHIPPED.parent, shipped)
    (weights,) = examination.shipped_models(tmp_path)
    assert examination._tried("model", partial(examination._model, weights)).status == "ok"
    with (shipped / "molebm-1.json").open("a") as file:
        file.write(" ")
    found = examination._tried("model", partial(examination._model, weights))
    assert found.status == "broken" and "SHA-256" in found.detail


@pytest.mark.parametrize("weights", examination.shipped_models(), ids=lambda path: path.stem)
def test_every_shipped_model_has_its_checksums(weights):
    """If not: `cd` to its folder, and `sha256sum *.json *.safetensors > SHA256SUMS`."""
    sums = examination._checksums(weights.parent)
    for path in (weights, weights.with_suffix(".json")):
        assert sums[path.name] == hashlib.sha256(path.read_bytes()).hexdigest(), path


def test_a_wrong_kernel_fails_its_trial(monkeypatch):
    monkeypatch.setattr(trials, "TOLERANCE", -1.0)
    with pytest.raises(TrialError, match="energies differ"):
        trials.kernel_is_mmff94("cpu")


def test_what_is_looked_for_is_what_the_package_declares():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {one.partition(">")[0].partition("[")[0] for one in project["dependencies"]}
    assert set(examination.REQUIRED) == declared
    for name, (_, extra) in examination.OPTIONAL.items():
        assert any(one.startswith(name) for one in project["optional-dependencies"].get(extra, [])), (name, extra)
