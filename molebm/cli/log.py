"""What a run tells on standard error: lines for a person, or with --json one JSON object a line for a program."""

from __future__ import annotations

import functools
import json
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import click

from molebm import __version__
from molebm.cli.interruption import Terminated
from molebm.errors import MolebmError

Value: TypeAlias = str | float | None
BAD_REQUEST: Final = 2
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it
_META: Final = "molebm.cli.log"
_OPTION: Final = "json_log"


class JsonLog:
    """The open log of one run."""

    def __init__(self) -> None:
        self.counts: dict[str, Value] = {}
        self._began = time.monotonic()

    def write(self, event: str, **fields: Any) -> None:
        """Write one object with its kind, the time in UTC and the seconds since the run began."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        seconds = round(time.monotonic() - self._began, 3)
        line = {"event": event, "time": now, "seconds": seconds, **fields}
        click.echo(json.dumps(_plain(line), ensure_ascii=False, allow_nan=False), err=True)


def json_log() -> JsonLog | None:
    """Return the log of the command that is running, or None where a person reads."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(_META)


def tell(text: str, *, quiet: bool = False, event: str = "message", **fields: Any) -> None:
    """Tell something: the text to a person who has not asked for quiet, or an event with these fields to a program."""
    log = json_log()
    if log is not None:
        log.write(event, text=text, **fields)
    elif not quiet:
        click.echo(text, err=True)


def tell_failure(name: str, source: str, reason: str, cure: str) -> None:
    """Tell a program of an input that failed; a person finds it in the table of failures."""
    log = json_log()
    if log is not None:
        log.write("failure", name=name, input=source, reason=reason, cure=cure)


def count(**counts: Value) -> None:
    """Say in numbers what was done; a program finds them in the last line."""
    log = json_log()
    if log is not None:
        log.counts.update(counts)


def how_it_ended(error: MolebmError | KeyboardInterrupt) -> tuple[int, str]:
    """Return the exit code of a command that an error ended, and what is told of it."""
    if isinstance(error, MolebmError):
        return BAD_REQUEST, str(error)
    if isinstance(error, Terminated):
        return error.exit_code, f"Ended by {error}."
    return INTERRUPTED, "Interrupted."


def with_json_option(command: click.Command) -> click.Command:
    """Give a command the option --json, unless it has it already."""
    body = command.callback
    if body is None or any(parameter.name == _OPTION for parameter in command.params):
        return command

    @functools.wraps(body)
    def callback(*args: Any, **arguments: Any) -> Any:
        if arguments.pop(_OPTION):
            return _logged(body, args, arguments)
        return body(*args, **arguments)

    command.callback = callback
    command.params.append(
        click.Option(
            ["--json", _OPTION], is_flag=True, help="Tell the run on standard error as JSON, one object a line."
        )
    )
    return command


def _logged(body: Callable[..., int | None], args: tuple[Any, ...], arguments: dict[str, Any]) -> int:
    """Run a command with its log open, and tell how it began and ended."""
    log = JsonLog()
    context = click.get_current_context()
    context.meta[_META] = log
    log.write("start", command=context.info_name, molebm=__version__, arguments=arguments)
    with _warnings_to(log):
        try:
            code = body(*args, **arguments) or 0
        except (MolebmError, KeyboardInterrupt) as error:
            code, text = how_it_ended(error)
            log.write("error", text=text)
        except BaseException as error:  # a mistake in the program, which Python then tells in full
            log.write("crash", text=f"{type(error).__name__}: {error}")
            raise
    log.write("done", exit_code=code, counts=log.counts)
    return code


def _plain(value: Any) -> Any:
    """Turn what JSON lacks into what it has: numbers that are none into null, all else into text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


@contextmanager
def _warnings_to(log: JsonLog) -> Iterator[None]:
    """Turn what would be printed as a warning into an event."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, category, *_, **__: log.write("warning", text=str(message))
        yield
