"""A run of `molebm score` from where it is to its end, and what is made of its tables then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from molebm.chem.reading import Record
from molebm.chem.writing import replacing
from molebm.cli.interruption import terminated_by_signals
from molebm.cli.journal import Journal, Request
from molebm.cli.log import tell, tell_failure
from molebm.cli.parquet import write_parquet
from molebm.cli.progress import progress
from molebm.cli.resumable_output import ResumableOutput, resumable_output
from molebm.cli.score_output import ATOM_COLUMNS, TERM_COLUMNS, flag_again, head_text, rows_file, written
from molebm.cli.score_page import Tabled, Worst, page_of_table, tabled
from molebm.cli.score_plot import ScorePlot
from molebm.errors import MolebmError, RequestError
from molebm.plausibility.report import Scored
from molebm.plausibility.scores import COLUMNS, Score


class Outputs(NamedTuple):
    """What is to be written."""

    table: Path
    failures: Path
    atoms: Path | None
    terms: Path | None
    report: Path | None
    plot: Path | None
    fdr: float | None  # rate of false discoveries, which is held over the whole table

    @property
    def rows(self) -> Path:
        """The table as it is written first."""
        return rows_file(self.table, flagged_later=self.fdr is not None)


class Scoring(NamedTuple):
    """What is to be computed."""

    records: Callable[[], Iterator[Record]]  # from the first on
    score: Callable[[Iterator[Record]], Iterator[Score]]
    window: int  # records that are scored side by side, and so may depend on one another in the last digit
    request: Request


def score_to_end(
    scoring: Scoring, outputs: Outputs, *, resume: bool, force: bool, quiet: bool
) -> tuple[Journal, Worst]:
    """Score what is not scored yet, and give the tables their names.

    Raises
    ------
    RequestError
        As `resumable_output`, and what comes up when records are read.
    """
    beside = {outputs.atoms: ATOM_COLUMNS, outputs.terms: TERM_COLUMNS}
    tables = {rows_file(path): head_text(path, columns) for path, columns in beside.items() if path is not None}
    worst = Worst()
    with (
        terminated_by_signals() as check_signals,
        resumable_output(
            outputs.rows,
            scoring.request,
            resume=resume,
            force=force,
            head=head_text(outputs.table, COLUMNS),
            failures=outputs.failures,
            tables=tables,
        ) as files,
    ):
        first = files.journal.next_record
        try:
            with progress("scoring", completed=first, unit="structure", quiet=quiet) as advance:
                for found in [] if files.journal.complete else _scores_from(first, scoring):
                    _add(files, found, outputs)
                    worst.add(found)
                    advance(1)
                    check_signals()
        except (KeyboardInterrupt, MolebmError):
            if files.journal.next_record:
                tell("What is done is kept: go on with the same command and --resume.")
            raise
        files.finish()
    return files.journal, worst


def _scores_from(first: int, scoring: Scoring) -> Iterator[Score]:
    """Score from that record on, beginning with the window that it is in, so that every bit is as in one run."""
    n_again = first % scoring.window
    records = islice(scoring.records(), first - n_again, None)
    return islice(scoring.score(records), n_again, None)


def _add(files: ResumableOutput, found: Score, outputs: Outputs) -> None:
    rows = written(found, outputs.table, outputs.atoms, outputs.terms)
    files.add(found.record, rows)
    for name, source, reason, cure in rows.failures:
        tell_failure(name, source, reason, cure)


def write_page(
    scoring: Scoring, outputs: Outputs, worst: Worst, title: str, alpha: float, facts: Mapping[str, str]
) -> None:
    """Write the page of the table; what it draws and a run before has scored is scored again."""

    def again(wanted: Mapping[int, Tabled]) -> Iterator[Scored]:
        kept = worst.among(wanted)
        yield from kept.values()
        missing = {record for record in wanted if record not in kept}
        if missing:
            yield from scoring.score(record for record in scoring.records() if record.index in missing)

    if outputs.report is not None:
        page = page_of_table(_there(outputs), again, title, alpha, facts)
        with replacing(outputs.report, force=True) as file:
            file.write(page)


def write_plot(outputs: Outputs, alpha: float, stride: int | None) -> None:
    """Draw the scores of the table in their order."""
    if outputs.plot is not None:
        trace = ScorePlot(alpha=alpha, stride=stride)
        for found in tabled(_there(outputs)):
            trace.add(found)
        trace.write(outputs.plot)


def write_tables(outputs: Outputs) -> int | None:
    """Make of the rows what was asked for, and count the flags if they are set anew."""
    n_flagged = None
    if outputs.fdr is not None and outputs.rows.exists():
        n_flagged = flag_again(outputs.rows, outputs.table, outputs.fdr)
        outputs.rows.unlink()
    for table in (outputs.atoms, outputs.terms, outputs.table):
        rows = table and rows_file(table)
        if table and rows and rows != table and rows.exists():
            write_parquet(rows, table)
            rows.unlink()
    return n_flagged


def _there(outputs: Outputs) -> Path:
    if not outputs.rows.exists():
        raise RequestError(f"'{outputs.table}' is complete and no longer to be read; use --force in place of --resume")
    return outputs.rows
