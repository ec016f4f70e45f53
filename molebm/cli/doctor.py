"""`molebm doctor`: what is installed here, and whether it works."""

from __future__ import annotations

from typing import Final

import click

from molebm.cli.log import count, json_log, tell
from molebm.cli.options import device_option, quiet_option, resolve_device

EXAMPLES: Final = """\b
Examples:
  molebm doctor
  molebm doctor --device cuda
  molebm doctor --json > doctor.json
"""
_MARKS: Final = {"ok": "ok     ", "absent": "absent ", "broken": "BROKEN "}


@click.command(epilog=EXAMPLES)
@device_option
@quiet_option
def doctor(device: str, quiet: bool) -> int:
    """Look at versions, devices, the compiled kernel, the shipped model and optional packages, and try them all.

    The trial compares the kernel with RDKit's MMFF94, makes conformers of a small molecule and scores them, in
    some seconds. What is only absent is optional. Ends with 1 if anything is broken. With --json the findings are
    also printed as one JSON document on standard output.
    """
    import json

    from molebm.cli.examination import examinations

    where = str(resolve_device(device))
    found = []
    for one in examinations(where):
        found.append(one)
        if json_log() is None and not (quiet and one.status == "ok"):
            click.echo(f"{_MARKS[one.status]}{one.name:<32} {one.detail}")
    n_broken = sum(one.status == "broken" for one in found)
    if json_log() is not None:
        click.echo(json.dumps({"broken": n_broken, "checks": [one._asdict() for one in found]}, indent=1))
    count(checks=len(found), broken=n_broken)
    tell(f"{n_broken} of {len(found)} checks failed" if n_broken else "all is well", quiet=quiet and not n_broken)
    return 1 if n_broken else 0
