"""`molebm report`: a page that shows the conformers of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from molebm.cli.log import count, tell, tell_failure
from molebm.cli.options import check_output, force_option, quiet_option
from molebm.cli.progress import progress
from molebm.errors import RequestError

EXAMPLES: Final = """\b
Examples:
  molebm report conformers.sdf -o report.html
  molebm report library.sdf.gz -o library.html --structures 50 --force
"""


@click.command(epilog=EXAMPLES)
@click.argument("source", metavar="IN")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Page to write, .html.")
@click.option(
    "--structures",
    type=click.IntRange(min=0, max=200),
    default=20,
    show_default=True,
    help="Molecules to draw and to show in space, the first of the file.",
)
@force_option
@quiet_option
def report(source: str, output: Path, structures: int, force: bool, quiet: bool) -> int:
    """Show the conformers in IN (.sdf .mol2 .pdb, perhaps .gz) on one page of HTML that needs no network.

    Records that follow one another with the same name, atoms and bonds are conformers of one molecule. All molecules
    are counted; the first 5000 have a row with conformers, energies, weights and how far they are apart; the first
    --structures are drawn and shown in space, with up to 100 conformers each. So the page has a few megabytes at most,
    and memory does not grow with the file. Records without a structure are listed on the page; then it ends with 1.
    """
    from molebm.chem.reading import Record, read_molecules
    from molebm.chem.writing import replacing
    from molebm.conformers.ensemble_files import ensembles_of
    from molebm.conformers.report import EnsembleReport

    if output.suffix.lower() not in (".html", ".htm"):
        raise RequestError(f"output '{output}' is not called .html; name it so, for browsers to open it")
    check_output(output, force=force)
    page = EnsembleReport(Path(source).name, n_structures=structures)
    with progress("reading", unit="molecule", quiet=quiet) as advance:
        for found in ensembles_of(read_molecules(source, models="together")):
            page.add(found)
            if isinstance(found, Record):
                tell_failure(found.name, found.source, found.error or "there are no coordinates", "")
            advance(1)
    with replacing(output, force=force) as file:
        file.write(page.render())
    count(molecules=page.n_molecules, conformers=page.n_conformers, failed=page.n_unreadable)
    tell(f"{page.n_conformers} conformers of {page.n_molecules} molecules in '{output}'", quiet=quiet)
    if page.n_unreadable:
        tell(f"{page.n_unreadable} records have no structure; the page lists them")
    return 1 if page.n_unreadable else 0
