"""`molebm free-energy`: a row for each method, the same by the seed, and a list of what failed."""

import csv

import pytest
from click.testing import CliRunner

from molebm.cli.main import cli


def run(*arguments):
    return CliRunner().invoke(cli, ["free-energy", *map(str, arguments), "--quiet"])


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Of a molecule and of a line that is none."""
    folder = tmp_path_factory.mktemp("free-energy")
    source = folder / "molecules.smi"
    source.write_text("FCCO a\nC(C)(C)(C)(C)C b\n")
    output, basins = folder / "table.csv", folder / "basins.csv"
    options = ("--chains", 4, "--samples", 2, "--from", "mmff94s", "--to", "mmff94")
    result = run(source, "-o", output, "--basins", basins, *options)
    return result, output, basins


def test_every_method_has_a_row_and_bounds_hold_the_value(table):
    result, output, _ = table
    assert result.exit_code == 1, result.output
    found = {row["method"]: row for row in rows(output)}
    assert set(found) == {"ais", "ti", "bar", "leap"}
    for row in found.values():
        assert float(row["delta_f_kT"]) == pytest.approx(0, abs=0.5)  # MMFF94s differs at trigonal nitrogen only
    assert float(found["ti"]["lower_kT"]) <= float(found["ti"]["delta_f_kT"]) <= float(found["ti"]["upper_kT"])


def test_what_failed_is_told_with_a_cure(table):
    _, output, _ = table
    (failed,) = rows(output.with_name("table.failures.csv"))
    assert failed["name"] == "b" and failed["reason"] and failed["cure"]


def test_populations_of_basins_sum_to_one_at_either_end(table):
    *_, basins = table
    for energy in ("mmff94s", "mmff94"):
        populations = [float(row["population"]) for row in rows(basins) if row["energy"] == energy]
        assert sum(populations) == pytest.approx(1)


def test_too_few_chains_and_an_output_in_the_way_are_refused(table, tmp_path):
    _, output, _ = table
    assert run("O", "-o", output).exit_code == 2
    assert run("O", "-o", tmp_path / "x.csv", "--temperature", 0).exit_code == 2
