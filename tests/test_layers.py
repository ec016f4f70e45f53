"""The shape of the package: imports point down, training needs no chemistry, modules stay small."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "molebm"

LAYERS = [  # from the bottom; parts on one line do not know each other
    {"errors", "units", "processes"},
    {"topology", "chem"},
    {"forcefield"},
    {"models", "references"},
    {"samplers"},
    {"training", "parametrise", "figures"},
    {"family"},
    {"conformers", "plausibility", "preparation"},
    {"interop"},
    {"cli"},
]
NEIGHBOURS = {("chem", "topology")}  # (who, whom): reads a neighbour on its own line
WITHOUT_CHEMISTRY = {"topology", "forcefield", "models", "samplers", "training", "family"}
CHEMISTRY_PACKAGES = {"rdkit", "openmm", "mdtraj"}
LONGEST_MODULE = 250  # lines


def level_of(part: str) -> int:
    return next(level for level, parts in enumerate(LAYERS) if part in parts)


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name; the public molebm/__init__.py stands above the layers."""
    files = sorted(PACKAGE.rglob("*.py"))
    names = [".".join(f.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__") for f in files]
    return dict(zip(names, files, strict=True))


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text(encoding="utf-8"))


def imported(nodes: ast.AST) -> Iterator[str]:
    """Every module that import statements name, inside functions too; `from a import b` names a and a.b."""
    for node in ast.walk(nodes):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(name: str) -> str:
    return name.split(".")[1]


LAYERED = [name for name in modules() if name != "molebm"]


def needed_by(name: str) -> set[str]:
    """Every module that importing or running `name` can import, in this package and outside it.

    Packages on the way run their __init__.py; what only a type checker reads is left out.
    """
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        found = waiting.pop()
        if found in seen:
            continue
        seen.add(found)
        if "." in found:
            waiting.append(found.rpartition(".")[0])
        if found in modules():
            waiting.extend(imported(_as_run(tree(found), lazy=found == "molebm")))
    return seen


def _as_run(module: ast.Module, *, lazy: bool) -> ast.Module:
    """Leave out type-checking blocks, and the functions of the lazy public module."""

    def kept(node: ast.stmt) -> bool:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return False
        return not (lazy and isinstance(node, ast.FunctionDef))

    return ast.Module([node for node in module.body if kept(node)], type_ignores=[])


def test_every_part_has_its_layer():
    assert {part_of(name) for name in LAYERED} <= set().union(*LAYERS)


@pytest.mark.parametrize("name", LAYERED)
def test_imports_point_down(name):
    part = part_of(name)
    for other in imported(tree(name)):
        if not other.startswith("molebm.") or part_of(other) in {part, "__version__"}:
            continue
        other_part = part_of(other)
        if (part, other_part) in NEIGHBOURS:
            continue
        assert level_of(other_part) < level_of(part), f"{name} imports {other}, which is not below it"


@pytest.mark.parametrize("name", LAYERED)
def test_nothing_but_the_version_is_taken_from_the_top(name):
    """The public molebm/__init__.py stands above all layers; relative imports would hide where they go."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "molebm":
            assert node.attr == "__version__", f"line {node.lineno}"
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}"
            if node.module == "molebm":
                assert [alias.name for alias in node.names] == ["__version__"], f"line {node.lineno}"


@pytest.mark.parametrize("name", [name for name in LAYERED if part_of(name) in WITHOUT_CHEMISTRY])
def test_training_runs_where_only_torch_is_installed(name):
    """A GPU machine trains from prepared tensors, without RDKit, OpenMM or MDTraj."""
    needed = needed_by(name)
    assert not CHEMISTRY_PACKAGES & {module.split(".")[0] for module in needed}
    assert not {"molebm.chem", "molebm.references"} & needed


def test_train_command_runs_where_only_torch_is_installed():
    if "molebm.cli.train" not in modules():
        pytest.skip("the train command is not written yet")
    assert not CHEMISTRY_PACKAGES & {module.split(".")[0] for module in needed_by("molebm.cli.train")}


@pytest.mark.parametrize("name", modules())
def test_modules_are_short(name):
    assert len(modules()[name].read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("name", modules())
def test_the_library_does_not_print(name):
    called = (node.func for node in ast.walk(tree(name)) if isinstance(node, ast.Call))
    assert "print" not in {function.id for function in called if isinstance(function, ast.Name)}


@pytest.mark.parametrize("name", modules())
def test_no_file_can_run_code_when_read(name):
    """Weights and tensors are safetensors, settings JSON or TOML: nothing is ever unpickled."""
    assert not {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"} & set(imported(tree(name)))
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in {("torch", "load"), ("torch", "save")}, f"line {node.lineno}"
        assert not (isinstance(node, ast.keyword) and node.arg == "allow_pickle"), "allow_pickle"
