"""Pages of HTML that need no network and ask for none.

Style, scripts, plots and drawings are inside, and the content security policy of a page forbids everything else.
Text of the input is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

import jinja2

from molebm import __version__

LONGEST_TEXT: Final = 500  # characters of one cell
_HOME: Final = "molebm.figures"
_SCRIPTS: Final = ("table.js", "viewer.js")


def page(package: str, template: str, script: str, *, facts: Mapping[str, str], **values: Any) -> str:
    """Return a page as HTML, to be written as UTF-8.

    Parameters
    ----------
    package
        Where template and script are; the template extends ``page.html.j2`` of this package.
    script
        Run after those of the table and of the viewer.
    facts
        To tell at the head of the page, beside the version of molebm.
    """
    parts = ['"use strict";', *(_resource(_HOME, name) for name in _SCRIPTS), _resource(package, script)]
    code = "\n".join(parts)
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(lambda name: _resource(package if name == template else _HOME, name)),
    )
    environment.filters["number"] = number
    return environment.get_template(template).render(
        facts={**facts, "molebm": __version__},
        style=_resource(_HOME, "page.css"),
        script=code,
        script_digest=base64.b64encode(hashlib.sha256(code.encode()).digest()).decode(),
        **values,
    )


def cell(text: str) -> str:
    """Shorten a text, and replace what cannot be written as UTF-8."""
    text = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
    return text.encode("utf-8", "replace").decode("utf-8")


def number(value: float | None, digits: int = 3) -> str:
    """Write a number that JavaScript reads back, or a dash where there is none."""
    if value is None:
        return "–"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return f"{value:.{digits}g}" if abs(value) < 1e4 else f"{value:.2e}"


def _resource(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")
