"""Every block of code in the pages is run or checked: one test for each language."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import yaml

from harness import cli
from harness.base.settings import VARIABLES
from harness.cli.ending import show_result
from harness.cli.reference import OTHERS
from harness.engine.replay import replay
from harness.evidence.bundle import read_bundle
from harness.scenario.load import load_all_text
from tests.unit.docs.pages import PAGES, README, Block, blocks, commands, name, spans
from tests.unit.paths import DEMO, PROJECT
from tests.unit.terminal import Terminal, screen

TARGETS = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE))
# What a command may be given beside the settings: by make, and by the tests themselves.
ASSIGNED = {*(each.name for each in VARIABLES.values()), *OTHERS, "SCENARIO", "PYTEST_ARGS"}
ASSIGNED.add("K0S_HARNESS_FUZZ")
# Programs of the system, which the pages do not explain.
SYSTEM = {".", "cd", "git", "jq", "mkdir", "pipx", "rm", "sha256sum", "sysctl", "tar", "uv"}
CHECKED = {"sh", "console", "crontab", "yaml", "python", "json", "text"}

# Of the terminal that the pages show.
COLUMNS = 100
VERBS = [[verb] for verb in cli.VERBS]

every = pytest.mark.parametrize


def check(words: list[str]) -> None:
    """Fail unless a person who types `words` gets what they mean."""
    while re.match(r"[A-Z_0-9]+=", words[0]):
        assert words[0].partition("=")[0] in ASSIGNED, words
        words = words[1:]
    program, *given = words
    for word in given:
        path = word.rpartition("=")[2]
        if re.match(r"(scenarios|demo|docs|harness|schema|tests)/", path) and "NAME" not in path:
            assert list(PROJECT.glob(path)), f"{path} is not there"
    if program == "make":
        for word in given:
            variable, assigned, _ = word.partition("=")
            assert variable in (ASSIGNED if assigned else TARGETS), words
    elif program == "sh":
        assert given[0].removeprefix("./") == "bootstrap.sh"
        rest = [word for word in given[1:] if word not in ("--lab", "--dev", "--tests", "--look")]
        check(rest)
    elif Path(program).name == "k0s-harness":
        is_taken(given)
    elif Path(program).name == "python":
        assert given[0] == "-m"
        assert importlib.util.find_spec(given[1]), words
    else:
        assert program in SYSTEM or Path(program).name == "pytest", words


def is_taken(given: list[str]) -> None:
    try:
        cli.parser(given).parse_args(given)
    except SystemExit as ended:
        if ended.code:
            pytest.fail(f"k0s-harness does not take {given}")


def is_command(span: str) -> bool:
    """Return whether code in running text is a command of ours."""
    named = re.match(r"(?:[A-Z_0-9]+=\S+ )*(?:\S*/)?(?:make|k0s-harness|pytest|python -m) ", span)
    return named is not None and ": " not in span


def test_every_block_has_a_language_that_is_checked():
    assert [str(each) for each in blocks() if each.language not in CHECKED] == []
    assert {each.language for each in blocks()} == CHECKED


@every("block", blocks("sh"), ids=str)
def test_commands_are_ours_or_the_system_s_and_take_what_they_are_given(block, capsys):
    for words in commands(block.text):
        check(words)


@every("block", blocks("crontab"), ids=str)
def test_lines_of_a_crontab_are_a_time_and_commands(block):
    for line in block.text.splitlines():
        time, command = re.fullmatch(r"((?:[\d*]+ ){5})(.+)", line).groups()
        assert time
        for words in commands(command):
            check(words)


@every("page", [each for each in PAGES if each.name != "reference.md"], ids=name)
def test_commands_in_running_text_are_checked_as_well(page, capsys):
    for span in filter(is_command, spans(page)):
        for words in commands(re.sub(r"[][…]", "", span)):
            # A verb alone is its name.
            if words[0] != "k0s-harness" or words[1:] not in VERBS:
                check(words)


def test_commands_are_found_in_running_text_at_all():
    assert sum(is_command(span) for page in PAGES for span in spans(page)) > 50


def is_workflow(block: Block) -> bool:
    return block.text.startswith("jobs:")


@every("block", [each for each in blocks("yaml") if not is_workflow(each)], ids=str)
def test_scenarios_are_valid(block):
    for loaded in load_all_text(block.text, str(block)):
        assert loaded.scenario.phases


@every("block", [each for each in blocks("yaml") if is_workflow(each)], ids=str)
def test_jobs_are_those_of_a_workflow_and_run_what_there_is(block, tmp_path):
    workflow = tmp_path / "workflow.yml"
    workflow.write_text(f"on: workflow_dispatch\n{block.text}")
    schema = ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", workflow]
    subprocess.run(schema, check=True)
    for job in yaml.safe_load(block.text)["jobs"].values():
        assert {*job.get("env", {})} <= ASSIGNED
        for step in job["steps"]:
            for words in commands(step.get("run", "")):
                check(words)


@every("block", blocks("python"), ids=str)
def test_python_compiles(block):
    """That of docs/extending.md is run by test_extending.py."""
    compile(block.text, str(block), "exec")


@every("block", blocks("json"), ids=str)
def test_json_is_json(block):
    assert json.loads(block.text)


def when_it_was_run() -> None:
    """Say again how the run of the demo's bundle ended on a terminal when it was run."""
    bundle = read_bundle(DEMO)
    result = replay(bundle, folder=DEMO, emit=lambda _: None).result
    stood_there = json.loads(bundle.pieces["report.json"])["substrate"]
    show_result(dataclasses.replace(result, substrate=stood_there), verbose=False)


class TestOutput:
    """What a page shows of a command is what a terminal shows, less what `…` leaves out."""

    @every("block", blocks("console"), ids=str)
    def test_is_what_the_command_prints(self, block, monkeypatch, tmp_path):
        monkeypatch.chdir(PROJECT)
        monkeypatch.setenv("COLUMNS", str(COLUMNS))
        monkeypatch.setenv("TERM", "xterm")
        command, *shown = block.text.splitlines()
        assert command.startswith("$ ")
        (words,) = commands(command.removeprefix("$ "))
        check(words)
        terminal = Terminal()
        with redirect_stdout(terminal), redirect_stderr(terminal):
            if words == ["make", "test-konnectivity-off"]:
                when_it_was_run()
            elif words == ["make", "demo"]:
                cli.main(["demo", "--output", str(tmp_path / "demo")])
            elif "--k0sctl" in words:
                cli.main(["diagnose", "--bundle", str(DEMO), "--phase", "broken"])
            else:
                cli.main(words[1:])
        printed = screen(terminal.getvalue())
        seen = list(wrapped(printed))
        assert is_excerpt(shown, printed) or is_excerpt(shown, seen), "\n".join(seen)

    def test_shown_in_the_readme_is_short(self):
        shown = [each for each in blocks("console") if each.page == README]
        assert len(shown) == 3
        assert all(len(each.text.splitlines()) <= 11 for each in shown)


def wrapped(lines: list[str]) -> Iterator[str]:
    """Yield the rows that a terminal makes of lines."""
    for line in lines:
        for at in range(0, max(len(line), 1), COLUMNS):
            yield line[at : at + COLUMNS].rstrip()


def is_excerpt(shown: list[str], printed: list[str]) -> bool:
    """Return whether `shown` is `printed`, but for lines and ends of lines left out as `…`."""
    if not shown:
        return not printed
    first, *rest = shown
    if first == "…":
        return any(is_excerpt(rest, printed[at:]) for at in range(len(printed) + 1))
    if not printed:
        return False
    same = printed[0].startswith(first[:-2]) if first.endswith(" …") else printed[0] == first
    return same and is_excerpt(rest, printed[1:])


@every(
    ("shown", "same"),
    [
        (["a", "b c"], True),
        (["a"], False),
        (["a", "…"], True),
        (["…", "b …"], True),
        (["b …"], False),
        (["…", "c …", "…"], False),
    ],
)
def test_an_excerpt_says_what_it_leaves_out(shown, same):
    assert is_excerpt(shown, ["a", "b c"]) is same
