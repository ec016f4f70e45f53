"""Write docs/api.md, the reference of the public names, from their signatures and docstrings.

    python workflows/api_reference.py            # writes it
    python workflows/api_reference.py --check    # ends with 1 if it is not up to date

What is public is in `__all__` of the packages, and in the lists below of modules that have a page of their own.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

TARGET: Final = Path(__file__).resolve().parents[1] / "docs" / "api.md"
HEAD: Final = """\
# Python reference

Public names with their signatures and docstrings, written by `python workflows/api_reference.py`; do not edit.
The pages of the [index](README.md) say how they are used.

"""
PARTS: Final = {  # module: names, or all that it exports
    "molebm": None,
    "molebm.conformers": None,
    "molebm.conformers.torsion_scan": ["torsion_scan", "TorsionScan"],
    "molebm.conformers.report": ["ensemble_report", "EnsembleReport"],
    "molebm.plausibility": None,
    "molebm.plausibility.settings": ["ScoringSettings"],
    "molebm.figures": None,
    "molebm.chem.reading": ["read_molecules", "Record"],
    "molebm.chem.writing": ["structure_writer", "csv_writer", "replacing"],
    "molebm.chem.graph": ["topology_from_mol", "positions_from_mol"],
    "molebm.parametrise": ["named_energy", "NamedEnergy"],
    "molebm.forcefield.energy": ["energy_and_forces", "EnergyForces"],
    "molebm.forcefield.mechanics": ["MechanicalEnergy"],
    "molebm.samplers.minimise": ["minimise"],
    "molebm.samplers.baoab": ["baoab"],
    "molebm.samplers.mala": ["mala"],
    "molebm.samplers.run": ["sample"],
    "molebm.training.evaluation": ["evaluate", "evaluate_forces"],
    "molebm.interop.openmm_solution": ["in_water", "Solution", "replace_own_terms"],
    "molebm.interop.openmm_ligand": ["ligand_template"],
    "molebm.interop.ase_calculator": ["MolebmCalculator"],
    "molebm.interop.torch_sim_model": ["MolebmModel"],
    "molebm.interop.mdtraj_trajectory": ["write_trajectory"],
    "molebm.interop.pyg_data": ["topologies_to_pyg"],
    "molebm.errors": [
        "MolebmError",
        "MoleculeError",
        "GraphError",
        "ForceFieldParameterError",
        "EmbeddingError",
        "StereoError",
        "TimeLimitError",
        "RequestError",
        "CheckpointError",
        "DivergenceError",
    ],
}
LONGEST_SIGNATURE: Final = 100
SECTION: Final = re.compile(r"^([A-Z]\w+)\n-{3,}\n", re.MULTILINE)
FIELD: Final = re.compile(r"^ {4}(\w+): (.+?)(?:  # (.*))?$", re.MULTILINE)


def main() -> int:
    text = HEAD + "\n".join(_contents()) + "\n\n" + "\n".join(reference())
    if "--check" in sys.argv[1:]:
        return int(TARGET.read_text(encoding="utf-8") != text)
    TARGET.write_text(text, encoding="utf-8")
    return 0


def _contents() -> Iterator[str]:
    for name, names in _public():
        yield f"* [`{name}`](#{name.replace('.', '')}): {', '.join(f'`{one}`' for one in names)}"


def _public() -> Iterator[tuple[str, list[str]]]:
    """List modules with the names to describe, each name where it is first met."""
    seen: set[int] = set()
    for name, names in PARTS.items():
        module = importlib.import_module(name)
        kept = []
        for one in names or [one for one in module.__all__ if not one.startswith("__")]:
            if id(getattr(module, one)) not in seen:
                seen.add(id(getattr(module, one)))
                kept.append(one)
        yield name, kept


def reference() -> Iterator[str]:
    """Give the lines of the page, module by module."""
    for name, names in _public():
        module = importlib.import_module(name)
        yield f"## `{name}`\n"
        yield f"{_first_paragraph(module.__doc__)}\n"
        for one in names:
            yield from described(one, getattr(module, one))


def described(name: str, found: Any) -> Iterator[str]:
    """Describe a function or a class with its public methods."""
    yield f"### `{name}`\n"
    if inspect.isclass(found):
        yield from _class(name, found)
    else:
        yield f"```text\n{name}{_signature(found)}\n```\n"
        yield documented(found.__doc__)


def _class(name: str, found: type) -> Iterator[str]:
    fields = list(_fields(found))
    base = found.__mro__[1].__name__
    if issubclass(found, Exception):
        yield f"```text\nclass {name}({', '.join(one.__name__ for one in found.__bases__)})\n```\n"
    elif not fields:
        yield f"```text\n{name}{_signature(found)}\n```\n"
    else:
        yield f"```text\nclass {name}{'' if base in ('object', 'tuple') else f'({base})'}\n```\n"
    yield documented(found.__doc__)
    if fields:
        yield "\n".join(f"* **{field}** `{kind}`{f': {told}' if told else ''}" for field, kind, told in fields) + "\n"
    for method, function in vars(found).items():
        if inspect.isfunction(function) and not method.startswith("_") and function.__doc__:
            yield f"`{name}.{method}{_signature(function)}`: {_first_paragraph(function.__doc__)}\n"


def _fields(found: type) -> Iterator[tuple[str, str, str]]:
    """Read the fields that the body of a class declares, with what stands behind them."""
    try:
        source = textwrap.dedent(inspect.getsource(found))
    except (OSError, TypeError):
        return
    body = re.sub(r'""".*?"""', "", source, flags=re.DOTALL)
    body = re.split(r"^ {4}(?:def|@)", body, maxsplit=1, flags=re.MULTILINE)[0]
    for name, kind, told in FIELD.findall(body):
        if not name.startswith("_") and not name.isupper():
            kind = re.sub(r"field\(default=([^,]+?)(?:, repr=False)?\)$", r"\1", kind.strip())
            yield name, kind.replace("field(default_factory=dict)", "{}"), told or ""


def _signature(function: Any) -> str:
    """Write a signature as in the source, a parameter a line where one line is too long."""
    signature = inspect.signature(function)
    parts: list[str] = []
    keyword_only = False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            parts.append("*")
        parts.append(_parameter(parameter))
    returned = "" if signature.return_annotation is signature.empty else f" -> {_type(signature.return_annotation)}"
    line = f"({', '.join(parts)}){returned}"
    return line if len(line) <= LONGEST_SIGNATURE else "(\n    " + ",\n    ".join(parts) + f",\n){returned}"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    kind = "" if parameter.annotation is parameter.empty else f": {_type(parameter.annotation)}"
    default = parameter.default
    if default is parameter.empty:
        return f"{stars}{parameter.name}{kind}"
    value = f"<{default.__name__}>" if inspect.isroutine(default) else re.sub(r" at 0x\w+", "", repr(default))
    return f"{stars}{parameter.name}{kind}{' = ' if kind else '='}{value}"


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def documented(docstring: str | None) -> str:
    """Turn a NumPy docstring into Markdown."""
    text = _markdown(inspect.cleandoc(docstring or ""))
    head, *rest = SECTION.split(text)
    parts = [head.strip()]
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        if title in ("Parameters", "Raises", "Attributes"):
            parts.append(f"**{title}**\n\n" + "\n".join(_items(body)))
        else:
            parts.append(f"**{title}**\n\n{body.strip()}")
    return "\n\n".join(parts) + "\n"


def _items(body: str) -> Iterator[str]:
    """Give each entry of a section, a name and what is indented below it, as an item of a list."""
    for block in re.split(r"\n(?=\S)", body.strip()):
        name, _, told = block.partition("\n")
        yield f"* **{name.strip()}** – {' '.join(textwrap.dedent(told).split())}"


def _markdown(text: str) -> str:
    text = re.sub(r":math:`([^`]*)`", r"$\1$", text)
    return re.sub(r"``([^`]+)``", r"`\1`", text)


def _first_paragraph(docstring: str | None) -> str:
    return " ".join(_markdown(inspect.cleandoc(docstring or "")).partition("\n\n")[0].split())


if __name__ == "__main__":
    sys.exit(main())
