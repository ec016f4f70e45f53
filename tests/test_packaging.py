"""What is built from the sources installs where only the dependencies are, and holds all that it needs."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
HAVE_COMPILER = any(shutil.which(name) for name in ("cc", "gcc", "clang"))
NOT_SOURCES = {".git", ".venv", ".ci-venv", "build", "dist", "runs", "__pycache__", ".mypy_cache", ".pytest_cache"}
CONDA_NAMES = {
    "torch": "pytorch",
    "torch-geometric": "pytorch_geometric",
    "matplotlib": "matplotlib-base",
    "build": "python-build",
    "openmmml": "openmm-ml",
    "tables": "pytables",
}
NOT_ON_CONDA_FORGE = {"torch-sim-atomistic", "snakemake", "snakemake-executor-plugin-slurm"}  # on PyPI or bioconda


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Build the sdist from a copy of the sources, and the wheel from the sdist."""
    if "MOLEBM_TEST_PACKAGING" not in os.environ:
        pytest.skip("takes half a minute; set MOLEBM_TEST_PACKAGING=1")
    if find_spec("build") is None or find_spec("setuptools") is None:
        pytest.skip("build and setuptools are not installed (pip install '.[test]')")
    sources = tmp_path_factory.mktemp("sources") / "molebm"
    left_out = shutil.ignore_patterns(*NOT_SOURCES, "*.egg-info", "*.so", "*.sdf")
    shutil.copytree(REPOSITORY, sources, ignore=left_out)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", "../dist", "."]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return sources.parent / "dist"


def members(built: Path) -> tuple[set[str], set[str]]:
    """List the files of the wheel, and those of the sdist below its folder."""
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive, tarfile.open(sdist) as packed:
        return set(archive.namelist()), {name.partition("/")[2] for name in packed.getnames()}


def package_files() -> set[str]:
    """List the modules, weights, pages and tables of the package as they lie in the repository."""
    files = (path for path in (REPOSITORY / "molebm").rglob("*") if path.is_file())
    return {
        path.relative_to(REPOSITORY).as_posix()
        for path in files
        if "__pycache__" not in path.parts and path.suffix not in (".so", ".pyd", ".pyc") and path.name[0] != "."
    }


@pytest.mark.slow
def test_wheel_holds_every_file_of_the_package_and_the_compiled_kernel(built):
    wheel, _ = members(built)
    assert package_files() - wheel == set()
    assert {name for name in wheel if name.startswith("molebm/")} - package_files() == {
        name for name in wheel if "_native" in name and name.endswith((".so", ".pyd"))
    }
    assert any("_native" in name for name in wheel) or not HAVE_COMPILER
    assert not any(name.startswith(("tests/", "workflows/", "native/")) for name in wheel)


@pytest.mark.slow
def test_sdist_holds_what_is_needed_to_build_test_and_read(built):
    _, sdist = members(built)
    assert package_files() - sdist == set()
    wanted = {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "constraints.txt", "pyproject.toml", "setup.py"}
    wanted |= {f"tests/{Path(__file__).name}", "docs/README.md", "data/drugs.smi", "native/native.c"}
    wanted |= {f"native/{path.name}" for path in (REPOSITORY / "native").glob("*.h")}
    wanted |= {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "workflows").rglob("*.py")}
    assert wanted - sdist == set()


@pytest.mark.slow
def test_the_wheel_works_where_only_its_dependencies_are(built, tmp_path):
    """A fresh environment sees the dependencies of this one through a path, and molebm from its own wheel alone."""
    venv.create(tmp_path / "env", with_pip=False)
    scripts = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    paths = {"base": str(tmp_path / "env"), "platbase": str(tmp_path / "env")}
    site_packages = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site_packages)
    (site_packages / "dependencies.pth").write_text("\n".join(sorted(_dependencies())) + "\n")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    entry = f"from {PROJECT['scripts']['molebm'].replace(':', ' import ')}; main()"
    code = (
        f"import sys, molebm; sys.stderr.write(molebm.__file__ + '\\n'); sys.argv[1:] = ['doctor', '--json']; {entry}"
    )
    command = [str(scripts / "python"), "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert Path(done.stderr.splitlines()[0]).is_relative_to(site_packages)
    found = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    assert (done.returncode, [one for one in found.values() if one["status"] == "broken"]) == (0, [])
    assert found["compiled kernel"]["status"] == "ok" or not HAVE_COMPILER


def _dependencies() -> set[str]:
    """Say where this environment keeps its packages; as plain paths, so that no editable install comes along."""
    return {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}


def test_every_python_that_is_named_is_allowed_and_the_reverse():
    named = {one.rpartition(" ")[2] for one in PROJECT["classifiers"] if "Python :: 3." in one}
    assert named == {"3.11", "3.12", "3.13"}
    assert PROJECT["requires-python"] == ">=3.11"


def test_all_is_all_that_is_optional():
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    assert set(everything.removeprefix("molebm[").removesuffix("]").split(",")) == set(extras) - {"all", "test", "gpu"}


def test_conda_environment_has_the_same_dependencies_from_conda_forge_alone():
    text = (REPOSITORY / "environment.yml").read_text(encoding="utf-8")
    assert re.findall(r"channels:\n((?:  - .*\n)+)", text) == ["  - conda-forge\n"]
    assert "- pip:" not in text
    given = dict(re.findall(r"^  - ([\w.-]+)(?: (\S+))?$", text.partition("dependencies:")[2], re.MULTILINE))
    extras = PROJECT["optional-dependencies"]
    optional = [one for name, extra in extras.items() if name not in ("all", "gpu") for one in extra]
    optional = [one for one in optional if not one.startswith("molebm[")]
    for requirement in [*PROJECT["dependencies"], *optional]:
        name, bounds = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()
        if name not in NOT_ON_CONDA_FORGE:
            assert given[CONDA_NAMES.get(name, name).lower()] == bounds, name
