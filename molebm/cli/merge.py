"""`molebm merge`: the shards of a run as one, every input exactly once."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from molebm.cli.failures import failures_path
from molebm.cli.interruption import terminated_by_signals
from molebm.cli.log import count, tell
from molebm.cli.options import check_output, force_option, quiet_option, resume_option
from molebm.cli.progress import progress
from molebm.errors import RequestError

EXAMPLES: Final = """\b
Examples:
  molebm merge part-*.sdf.gz -o conformers.sdf.gz --input library.smi.gz
  molebm merge part-*.sdf.gz -o conformers.sdf.gz --input library.smi --shards 50 --table conformers.parquet
  molebm merge part-*.sdf.gz -o conformers.sdf --scores --table conformers.csv --report page.html
"""


@click.command(epilog=EXAMPLES)
@click.argument("shards", metavar="SHARD...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="SDF to write, perhaps .sdf.gz.")
@click.option("--input", "source", help="What the shards were made from: then its last inputs are accounted for too.")
@click.option("--shards", "n_shards", type=click.IntRange(min=1), help="How many there must be, to name those missing.")
@click.option("--scores", "scored", is_flag=True, help="Each shard has a table that ends in .scores.csv beside it.")
@click.option("--table", type=click.Path(path_type=Path), help="Also all conformers and failures, .csv or .parquet.")
@click.option("--report", type=click.Path(path_type=Path), help="With scores, also a page of HTML; needs --table.")
@click.option(
    "--alpha", type=float, default=0.05, show_default=True, help="At which scores were flagged, for the page."
)
@resume_option
@force_option
@quiet_option
def merge(
    shards: tuple[Path, ...],
    output: Path,
    source: str | None,
    n_shards: int | None,
    scored: bool,
    table: Path | None,
    report: Path | None,
    alpha: float,
    resume: bool,
    force: bool,
    quiet: bool,
) -> int:
    """Put the SHARDs that `molebm generate --shard` wrote together, in the order of the input.

    The result has the bytes that `molebm generate` writes of the whole input at once, and so has the table of
    failures, which are read from beside the shards. It is refused, and nothing written, unless
    every input is there exactly once, as conformers or as a failure.

    \b
    The table has a row for each conformer and for each failure:
    record        position in the SDF that is written, from 0; empty for a failure
    input_record  position in the input, from 0
    name, status  ok, or the reason and what to do
    and the energies, and with --scores all columns of `molebm score`
    """
    from molebm.chem.reading import count_molecules
    from molebm.chem.writing import replacing
    from molebm.cli.books import Books
    from molebm.cli.merged_table import columns
    from molebm.cli.merging import check_shards, merged, request_of, score_columns_of
    from molebm.cli.parquet import check_parquet, is_in_parquet, write_parquet
    from molebm.cli.resumable_output import check_free, csv_text, hidden, resumable_output

    check_shards(shards, n_shards, scored=scored)
    if report and not (scored and table):
        raise RequestError("--report shows scores; give --scores and --table too")
    is_parquet = table is not None and is_in_parquet(table)
    if is_parquet:
        check_parquet()
    complete = check_free(output, resume=resume, force=force)
    for path in (table, report):
        if path is not None and not resume:
            check_output(path, force=force)
    score_columns = score_columns_of(shards[0]) if scored else ()
    rows = hidden(table, "csv") if table and is_parquet else table  # which is then turned into Parquet
    if not complete:
        total = None if source is None else count_molecules(source)
        request = request_of(shards, score_columns, with_table=table is not None)
        tables = {rows: csv_text([columns(score_columns)])} if rows else {}
        with (
            terminated_by_signals() as check_signals,
            resumable_output(output, request, resume=resume, force=force, tables=tables) as files,
            progress("merging", total=total, completed=files.journal.next_record, quiet=quiet) as advance,
        ):
            books, first = Books(total, n_shards), files.journal.next_record
            try:
                for record, written in merged(shards, score_columns, books, first=first, with_table=table is not None):
                    files.add(record, written)
                    advance(1)
                    check_signals()
            except RequestError:  # with other shards it will be another merge
                files.discard()
                raise
            files.finish()
            done = files.journal
        n_inputs, n_conformers = done.counts.get("inputs", 0), done.counts.get("conformers", 0)
        count(inputs=n_inputs, conformers=n_conformers, failed=done.n_failed)
        tell(f"{n_conformers} conformers of {n_inputs} inputs in '{output}'", quiet=quiet)
    if report and rows and rows.exists() and not (complete and report.exists()):
        from molebm.cli.score_page import drawable, page_of_table

        with replacing(report, force=True) as file:
            file.write(page_of_table(rows, lambda worst: drawable(output, worst), str(output), alpha))
    if is_parquet and rows and table and rows.exists():
        write_parquet(rows, table)
        rows.unlink()
    if failures_path(output).exists():
        tell(f"some inputs failed; see '{failures_path(output)}'")
        return 1
    return 0
