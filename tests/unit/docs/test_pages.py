"""The pages are short, lead somewhere, and claim only what stands in one place."""

import re
import tomllib

import pytest

from harness.scenario.load import files_in, find
from tests.unit.docs.pages import PAGES, README, anchors, blocks, name, prose, spans
from tests.unit.paths import PROJECT

MOST_LINES = {"README.md": 120, "docs/reference.md": 10_000}
# Pages that are made of runs.
OF_RUNS = ("docs/log/", "docs/reports/", "tests/recordings/", "tests/redaction/")
RUN_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")
BESIDE = re.compile(r"\bbeside\s+(?:an|two)?\s*other\s+(?:labs?|work)\b")

pages = pytest.mark.parametrize("page", PAGES, ids=name)


@pages
def test_a_page_is_read_in_one_sitting(page):
    if not name(page).startswith(OF_RUNS):
        assert len(page.read_text("utf-8").splitlines()) <= MOST_LINES.get(name(page), 300)


@pages
def test_only_pages_made_of_runs_name_runs(page):
    text = page.read_text("utf-8")
    if not name(page).startswith(OF_RUNS):
        assert RUN_ID.findall(text) == []
        assert BESIDE.findall(text) == []


@pages
def test_what_was_not_run_is_said_in_one_place_and_in_the_catalogue(page):
    if name(page) not in ("docs/status.md", "docs/scenarios.md", "README.md"):
        assert "**not run**" not in page.read_text("utf-8")


@pages
def test_every_relative_link_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pages
def test_every_file_named_is_there(page):
    """A path as in `scenarios/runs.json`, or of a module, as in `probe/registry.py`."""
    for span in spans(page):
        folder, _, rest = span.partition("/")
        ours = folder and ((PROJECT / folder).is_dir() or span.endswith(".py"))
        if ours and re.fullmatch(r"[\w./-]+\.\w+", rest) and not re.search("[A-Z]{3}", span):
            assert (PROJECT / span).exists() or (PROJECT / "harness" / span).exists(), span


def test_every_page_is_reached_from_the_readme():
    reached, open_ = set(), [README]
    while open_:
        page = open_.pop()
        reached.add(page.resolve())
        for link in re.findall(r"\]\((?!https?:)([^)\s#]+)", page.read_text("utf-8")):
            target = (page.parent / link).resolve()
            found = target.glob("*.md") if target.is_dir() else [target]
            open_ += [each for each in found if each.suffix == ".md" and each not in reached]
    assert {page for page in PAGES if page.is_relative_to(PROJECT / "docs")} <= reached


def test_the_scenario_shown_is_the_one_that_make_runs():
    (example,) = (each for each in blocks("yaml") if each.page == README)
    assert example.text == (PROJECT / "scenarios/konnectivity-off.yaml").read_text("utf-8")


def test_the_python_example_is_a_test_of_a_scenario_that_is_there():
    (example,) = (each for each in blocks("python") if each.page == README)
    names: dict[str, object] = {}
    exec(compile(example.text, str(example), "exec"), names)  # noqa: S102
    (mark,) = names["test_the_metrics_api_is_gone"].pytestmark
    assert find(mark.kwargs["scenario"], PROJECT / "scenarios").exists()


def test_the_catalogue_has_every_scenario():
    catalogue = (PROJECT / "docs/scenarios.md").read_text("utf-8")
    rows = re.findall(r"^\| \[[\w-]+\]\(\.\./(scenarios/[\w/-]+\.yaml)\)", catalogue, re.MULTILINE)
    there = {str(path.relative_to(PROJECT)) for path in files_in(PROJECT / "scenarios")}
    assert set(rows) == there


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
