"""Join SMILES files into one, shuffled, so that every part of it holds every kind of molecule.

python workflows/join_libraries.py chembl.smi data/drugs.smi data/silanes.smi -o library.smi
"""

from __future__ import annotations

import random
from pathlib import Path

import click


@click.command()
@click.argument("libraries", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--seed", default=1, show_default=True)
def main(libraries: tuple[Path, ...], output: Path, seed: int) -> None:
    """Write the lines of all LIBRARIES to one file, a name given to each molecule that has none."""
    lines = [
        line if len(line.split()) > 1 else f"{line.strip()} {library.stem}{number}"
        for library in libraries
        for number, line in enumerate(library.read_text().splitlines(), start=1)
        if line.strip()
    ]
    random.Random(seed).shuffle(lines)
    output.write_text("\n".join(lines) + "\n")
    click.echo(f"{len(lines)} molecules in '{output}'", err=True)


if __name__ == "__main__":
    main()
