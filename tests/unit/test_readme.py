"""What the documentation names is there, and what it shows is what runs."""

import re
import tomllib

import pytest

from harness.base.errors import ExitCode
from harness.cli import main
from harness.scenario.load import files_in
from tests.unit.paths import PROJECT

README = (PROJECT / "README.md").read_text("utf-8")
PAGES = [PROJECT / "README.md", *sorted(PROJECT.glob("docs/*.md")), *PROJECT.glob("tests/*/*.md")]
TARGETS = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE))

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def code(text):
    """Return the code of a page, a piece an entry: fenced blocks by line, and inline spans."""
    fenced = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    spans = (span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", prose))
    return [*(line for block in fenced for line in block.splitlines()), *spans]


def commands(text):
    """Return the words after each `k0s-harness`, up to what is no word of a command line."""
    found = (re.search(r"(?:^|[\s/=])k0s-harness ([-\w./ ]+)", piece) for piece in code(text))
    return [match.group(1).split() for match in found if match]


def anchors(text):
    """Return the anchors that GitHub gives the headings of a page."""
    prose = re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_python_example_is_a_test_of_this_repository_to_the_letter():
    (example,) = blocks(README, "python")
    assert example == (PROJECT / "tests/cluster/test_konnectivity.py").read_text("utf-8")
    assert len(example.splitlines()) < 25


def test_the_scenario_shown_is_the_one_that_make_runs():
    (example,) = blocks(README, "yaml")
    assert example == (PROJECT / "scenarios/konnectivity-off.yaml").read_text("utf-8")


def test_the_first_scenarios_are_listed_and_the_catalogue_has_every_one():
    listed = re.findall(r"^\| \[[\w-]+\]\((scenarios/[\w-]+\.yaml)\)", README, re.MULTILINE)
    assert listed == [
        f"scenarios/{name}.yaml"
        for name in ("konnectivity-off", "konnectivity-on", "article-config-refused")
    ]
    assert "](docs/scenarios.md)" in README
    catalogue = (PROJECT / "docs/scenarios.md").read_text("utf-8")
    rows = re.findall(r"^\| \[[\w-]+\]\(\.\./(scenarios/[\w/-]+\.yaml)\)", catalogue, re.MULTILINE)
    there = {str(path.relative_to(PROJECT)) for path in files_in(PROJECT / "scenarios")}
    assert set(rows) == there


def test_no_result_of_a_scenario_is_typed_into_the_readme():
    table = README.partition("| scenario | shows |")[2].partition("\n\n")[0]
    assert not re.search(r"\b(yes|no|passed|met|green)\b", table)


def test_both_main_commands_are_shown():
    (shown, *_) = blocks(README, "")
    assert [line.split()[1] for line in shown.splitlines()] == ["test-konnectivity-off", "test"]


@pages
def test_every_make_target_named_is_there(page):
    found = [re.findall(r"\bmake ([a-z][a-z-]*)", piece) for piece in code(page.read_text("utf-8"))]
    assert {target for targets in found for target in targets} - TARGETS == set()


def test_the_readme_names_targets_and_verbs_at_all():
    named = {words[0] for words in commands(README)}
    assert {"run", "plan", "validate", "schema", "diagnose", "labs", "artifacts"} <= named
    assert {"flows", "collect", "replay", "catalogue"} <= named
    assert {"test", "doctor", "lint", "nightly", "demo"} <= TARGETS


@pages
def test_every_command_named_is_there_with_its_options(page, capsys):
    for words in commands(page.read_text("utf-8")):
        verb = words[: 2 if words[0] == "artifacts" else 1]
        with pytest.raises(SystemExit) as ended:
            main([*verb, "--help"])
        assert ended.value.code == 0, words
        explained = capsys.readouterr().out
        options = [word for word in words if word.startswith("--")]
        assert [option for option in options if option not in explained] == [], words


@pages
def test_every_relative_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    for link in links:
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), link


def test_links_are_found_at_all():
    assert len(re.findall(r"\]\((?!https:)", README)) > 10


def test_the_layers_of_the_architecture_are_those_that_lint_checks():
    text = (PROJECT / "docs/architecture.md").read_text("utf-8")
    table = text.partition("\n## Layers\n")[2].partition("\n## ")[0]
    named = [
        re.findall(r"`([a-z0-9_]+)`", row.split("|")[1])
        for row in re.findall(r"^\| `.*$", table, re.MULTILINE)
    ]
    contract = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    contracts = contract["tool"]["importlinter"]["contracts"]
    (layers,) = (each["layers"] for each in contracts if each["type"] == "layers")
    assert named == [re.split(r" [|:] ", layer) for layer in layers]


def test_the_table_of_exit_codes_is_complete():
    rows = re.findall(r"^\| (\d+) \| ", README, re.MULTILINE)
    assert [int(row) for row in rows] == [int(code) for code in ExitCode]


def test_what_was_not_run_is_said_where_it_is_named():
    for name, words in (
        ("libvirt", "six times of seven"),
        ("libvirt", "**not run** with KVM"),
        ("virtualbox", "**not run** on real VMs"),
    ):
        (row,) = re.findall(rf"^\| {name} \|.*$", README, re.MULTILINE)
        assert words in row
    (docker,) = re.findall(r"^\| docker .*$", README, re.MULTILINE)
    assert (
        "on cgroup v2 the integration tests, `konnectivity-on` and `konnectivity-off` once"
        in docker
    )
    assert "all else **not run**" in docker
    assert "released files have not been run here" in README
