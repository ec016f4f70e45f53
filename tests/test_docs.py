"""What the pages say can be done can be done: examples run, commands parse, links lead somewhere."""

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from molebm.cli.main import COMMANDS, cli, load_command
from molebm.training.config import TrainingConfig

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELLS = ("bash", "console")
OPTIONAL = ("ase", "openmmml", "torch_sim")  # engines, without which their examples are left out
TUTORIALS = [page for page in PAGES if page.name.startswith("tutorial_")]


def named(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


each_page = pytest.mark.parametrize("page", PAGES, ids=named)


def blocks(page: Path, *languages: str) -> Iterator[tuple[int, str]]:
    """Give the fenced blocks in these languages, each with the number of its first line."""
    text = page.read_text(encoding="utf-8")
    for found in FENCED.finditer(text):
        if found[1] in languages:
            yield text.count("\n", 0, found.start(2)) + 1, found[2]


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def shell_commands(page: Path) -> Iterator[list[str]]:
    """Give the words of each simple command; of a console only what follows a prompt."""
    for _, text in [*blocks(page, "bash"), *(prompted(block) for block in blocks(page, "console"))]:
        for line in text.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words: list[str] = []
            for word in [*lexer, ";"]:
                if set(word) <= set("();<>|&"):
                    if words:
                        yield words
                    words = []
                else:
                    words.append(word)


def prompted(block: tuple[int, str]) -> tuple[int, str]:
    return block[0], "\n".join(line[2:] for line in block[1].splitlines() if line.startswith("$ "))


def options() -> dict[str, list[click.Option]]:
    """List the options of all commands by their long and short names."""
    found: dict[str, list[click.Option]] = {"--help": []}
    for command in COMMANDS:
        for parameter in load_command(command).params:
            if isinstance(parameter, click.Option):
                for name in parameter.opts:
                    found.setdefault(name, []).append(parameter)
    return found


@pytest.mark.parametrize("page", TUTORIALS, ids=named)
def test_tutorials_run_from_start_to_finish(page, tmp_path, monkeypatch):
    """Every block in its order, in one folder; commands of molebm in this process, which has imported all it needs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(REPOSITORY / "data")
    namespace = {"__name__": page.stem}
    for line, text in blocks(page, "python", *SHELLS):
        if (line, text) in blocks(page, "python"):
            exec(compile("\n" * (line - 1) + text, str(page), "exec"), namespace)  # noqa: S102
            continue
        for command in prompted((line, text))[1].splitlines() or text.splitlines():
            if command.startswith("molebm "):
                result = CliRunner().invoke(cli, [*shlex.split(command)[1:], "--quiet"], prog_name="molebm")
                assert result.exit_code in (0, 1), f"{command}: {result.output}"
            else:
                subprocess.run(command, shell=True, check=True)


@pytest.mark.parametrize("page", [page for page in PAGES if page not in TUTORIALS], ids=named)
def test_python_examples_run_as_they_stand(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": page.stem}
    missing = set()
    for line, text in blocks(page, "python"):
        lacking = {name for name in OPTIONAL if re.search(rf"^(import|from) {name}\b", text, re.MULTILINE)}
        lacking = {name for name in lacking if find_spec(name) is None}
        if lacking:
            missing |= lacking
            continue
        code = compile("\n" * (line - 1) + text, str(page), "exec")  # tracebacks then name the line of the page
        exec(code, namespace)  # noqa: S102
    if missing:
        pytest.skip(f"all but the examples that need {', '.join(sorted(missing))} run")


@each_page
def test_molebm_commands_shown_are_accepted(page):
    for words in shell_commands(page):
        if Path(words[0]).name != "molebm":
            continue
        name, *arguments = words[1:]
        assert name in COMMANDS, shlex.join(words)
        try:
            load_command(name).make_context(f"molebm {name}", arguments)
        except click.exceptions.Exit:
            pass  # --help
        except click.UsageError as error:
            pytest.fail(f"{shlex.join(words)}: {error.format_message()}")


@each_page
def test_files_of_the_repository_that_commands_name_are_there(page):
    named = {word for words in shell_commands(page) for word in words if word.startswith(("data/", "workflows/"))}
    assert [word for word in sorted(named) if not (REPOSITORY / word).exists()] == []


@each_page
def test_options_named_in_the_text_exist(page):
    named = set(re.findall(r"`(--[\w-]+)`", prose(page)))
    assert named - set(options()) == set()


@each_page
def test_defaults_in_tables_of_options_are_those_of_the_commands(page):
    known = options()
    for name, shown in re.findall(r"^\| `(--[\w-]+)`[^|]*\| ([^|]*) \|", prose(page), re.MULTILINE):
        defaults = {option.default for option in known[name] if isinstance(option.default, str | int | float)}
        value = shown.strip("`")
        said = {float(value)} if re.fullmatch(r"[\d.]+", value) else {{"off": False, "on": True}.get(value, value)}
        assert not defaults or defaults & said, f"{name} is said to be {shown} and is {defaults}"


@each_page
def test_relative_links_lead_to_files(page):
    targets = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", prose(page))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_command_is_on_the_first_page():
    shown = [words[1] for words in shell_commands(REPOSITORY / "docs" / "README.md") if words[0] == "molebm"]
    assert sorted(shown) == sorted(COMMANDS)


def test_scripts_named_among_the_benchmarks_are_there():
    page = REPOSITORY / "docs" / "benchmarks.md"
    named = re.findall(r"`([\w*]+\.py)`", page.read_text(encoding="utf-8"))
    assert named and [name for name in named if not [*(REPOSITORY / "workflows" / "benchmarks").glob(name)]] == []


def test_training_settings_shown_are_all_there_are_with_their_defaults():
    ((_, text),) = blocks(REPOSITORY / "docs" / "train.md", "toml")
    shown = TrainingConfig.model_validate(tomllib.loads(text))
    assert shown == TrainingConfig()
    unset = [
        key
        for section in (shown, shown.network, shown.pool, shown.optimiser, *shown.stages)
        for key in set(type(section).model_fields) - section.model_fields_set
    ]
    assert sorted(unset) == ["max_shards", "residual"]
