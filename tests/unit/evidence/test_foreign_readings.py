"""Readings and documents that somebody else wrote: judged or refused, and never a traceback.

Tests of the kind take many inputs where `K0S_HARNESS_FUZZ` says how many, and few in the
normal run. Every input follows from its number, which a failing test names.
"""

from __future__ import annotations

import functools
import json
import random
import shutil
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness.base.errors import ExitCode, HarnessError
from harness.base.settings import Settings
from harness.base.untrusted import RefusedError
from harness.cli.diagnose import show_diagnosis
from harness.cli.recorded import find_runs
from harness.cli.replay import replay_bundle
from harness.cli.report import page_of
from harness.cli.target import Target
from harness.diagnose import subject
from harness.diagnose.facts import facts_from
from harness.diagnose.judge import diagnose_facts
from harness.evidence.lines import READINGS, whole_lines
from harness.probe import flows
from harness.report import diagnosis as report
from harness.report import run_comparison
from harness.report.files import write_index
from harness.report.html import run_comparison as run_comparison_page
from harness.report.run_comparison import compare
from tests.unit.fuzz import examples
from tests.unit.paths import RECORDINGS

# A recording of changes is none of probes, and a timeline has no readings.
WALKS = [
    each
    for each in sorted(RECORDINGS.rglob("*.jsonl"))
    if "changes" not in each.parts and each.name != "timeline.jsonl"
]
RECORDED_RUN = RECORDINGS / "run-konnectivity-off"
SETTINGS = Settings(Path("state"), Path("cache"), Path("runs"))
MARKUP = {"script", "img", "iframe", "object", "form"}
# What a stranger would try in place of any value: other types, numbers that are none, text that a
# page, a document of XML, a terminal or a parser takes for more than text.
ODD = (
    *(None, True, False, 0, -1, 1.5, 1e300, 2**70, -(2**63), [], {}, [[]], {"a": 1}, ["x"], [None]),
    *("", "x", "\x00\x1b[2J", "[", "10.0.0.1", "::1", "1.2.3.4/99", "9" * 5000, "True", "v1.2.3"),
    *("2026-13-45", "0001-01-01T00:00:00", "9999-12-31T23:59:59Z", "ñ\u202e\U0001f600", "a=b=c"),
    *("<script>alert(1)</script>", "\" onx='y'", "]]>", "&#0;", "\ud800", "javascript:alert(1)"),
    *(float("inf"), float("nan")),
)


def inputs(few, share=1.0):
    """Numbers of inputs: `few`, or that share of as many as are asked for."""
    return range(max(few, int(examples(few) * share)))


def numbered(number):
    return random.Random(number)  # noqa: S311  # the same inputs every time, and no secret


def places(value, path=()):
    """Every place in a JSON value, the whole first."""
    yield path
    if isinstance(value, (dict, list)):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(each, (*path, key))


def changed(value, random):
    """A JSON value of the same shape, in which some places have anything else, or are gone."""
    for _ in range(random.choice([1, 1, 3, 20])):
        if not isinstance(value, (dict, list)):
            break
        value = json.loads(json.dumps(value))
        path = random.choice(list(places(value)))
        odd = random.choice(ODD)
        if not path:
            value = odd
            continue
        here = value
        for key in path[:-1]:
            here = here[key]
        if random.random() < 0.25:
            del here[path[-1]]
        else:
            here[path[-1]] = odd
    return value


def changed_text(text, random):
    """What a tool printed, changed: as the JSON that it is, or word by word."""
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, (dict, list)) and random.random() < 0.85:
        return json.dumps(changed(document, random))
    if random.random() < 0.15:
        return str(random.choice(ODD))
    words = text.split(" ")
    for _ in range(random.choice([1, 3, 10])):
        words[random.randrange(len(words))] = str(random.choice(ODD))
    return " ".join(words)


def changed_reading(reading, random):
    """A reading's JSON form with another text, and at times another end of the look."""
    if random.random() < 0.9:
        return {**reading, "stdout": changed_text(reading["stdout"], random)}
    return {
        **reading,
        "returncode": random.choice([0, 1, 7, 28, 127, None]),
        "stderr": changed_text(reading["stderr"], random),
        "at": random.choice([reading["at"], "x", "0001-01-01T00:00:00", "9999-12-31T23:59:59Z"]),
        "argv": random.choice([reading["argv"], ["dial"], ["x"]]),
    }


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def rows(text):
    return [json.loads(line) for line in text.decode().split("\n") if line]


@functools.cache
def walk(path):
    return rows(path.read_bytes())


@pytest.mark.fuzz
def test_whatever_tools_printed_there_is_a_diagnosis():
    for number in inputs(20):
        chance = numbered(number)
        found = list(walk(chance.choice(WALKS)))
        for _ in range(chance.choice([1, 2, 5])):
            place = chance.randrange(len(found))
            found[place] = changed_reading(found[place], chance)
        try:
            readings = tuple(whole_lines(lines(found), READINGS))
        except RefusedError:
            continue
        try:
            facts = facts_from(readings)
            subject.problem(facts)
            diagnosis = diagnose_facts(facts)
            report.render(diagnosis).encode()
            json.dumps(report.document(diagnosis), allow_nan=False)
            flows.parse(readings)
        except Exception as error:
            raise AssertionError(f"input {number}") from error


def changed_bundle(pieces, manifest, chance):
    """Pieces and manifest of a bundle in which one of its documents is changed."""
    kind = chance.choice(
        ["report.json", "meta.json", "missing.json", "manifest", "timeline.jsonl"]
        + 5 * ["observations.jsonl"]
    )
    if kind == "manifest":
        manifest = changed(manifest, chance)
        manifest = manifest if isinstance(manifest, dict) else {}
    elif kind.endswith(".json"):
        pieces[kind] = json.dumps(changed(json.loads(pieces[kind]), chance)).encode()
    else:
        found = rows(pieces[kind])
        # Of a reading mostly what was printed: other fields end in one sentence each.
        printed = kind == "observations.jsonl" and chance.random() < 0.8
        for _ in range(chance.choice([1, 5, 50])):
            place = chance.randrange(len(found))
            change = changed_reading if printed else changed
            if isinstance(found[place], dict):
                found[place] = change(found[place], chance)
        pieces[kind] = lines(found)
    return pieces, manifest


class Elements(HTMLParser):
    """The names of a page's elements, and where its links lead."""

    def __init__(self, text):
        super().__init__()
        self.names = set()
        self.links = []
        self.handlers = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.links += [value for name, value in attrs if name in {"href", "src"}]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def require_reports_that_are_some(folder):
    for name in ("report.json", "replay.json"):
        json.loads((folder / name).read_text(encoding="utf-8"))
    ET.fromstring((folder / "junit.xml").read_bytes())  # noqa: S314  # our own, looked at for form
    require_harmless(folder / "report.html")


def require_harmless(path):
    page = Elements(path.read_text(encoding="utf-8"))
    assert not page.names & MARKUP
    assert not page.handlers
    assert all(each.startswith(("http://", "https://", "./", "#")) for each in page.links)


@pytest.mark.fuzz
def test_whatever_is_in_a_bundle_it_is_judged_or_refused_with_a_sentence(
    demo, bundle_file, tmp_path, capsys
):
    # A replay takes a second, thirty times as long as a diagnosis.
    for number in inputs(3, share=0.2):
        output = tmp_path / f"{number}"
        path = bundle_file(*changed_bundle(*demo(), numbered(number)))
        try:
            ends = [
                ending_of(
                    functools.partial(show_diagnosis, SETTINGS, Target(), bundle=path, as_json=True)
                ),
                ending_of(functools.partial(replay_bundle, path, output=output)),
            ]
            if (output / "report.html").exists():
                require_reports_that_are_some(output)
        except Exception as error:
            raise AssertionError(f"input {number}") from error
        assert set(ends) <= {*range(3), ExitCode.INFRASTRUCTURE}, f"input {number}"
        shutil.rmtree(output, ignore_errors=True)
        capsys.readouterr()


@pytest.mark.fuzz
def test_whatever_a_report_says_its_pages_are_made_or_it_is_refused_with_a_sentence(tmp_path):
    folder = tmp_path / "run/scenario"
    shutil.copytree(RECORDED_RUN, folder)
    said = json.loads((folder / "report.json").read_text())
    good = find_runs(RECORDED_RUN, tmp_path).results
    for number in inputs(5):
        document = json.dumps(changed(said, numbered(number)))
        (folder / "report.json").write_text(document)
        try:
            ending = ending_of(functools.partial(made_of_report, folder, good))
        except Exception as error:
            raise AssertionError(f"input {number}") from error
        assert ending in {ExitCode.OK, ExitCode.USAGE}, f"input {number}"


def made_of_report(folder, good):
    """Make all pages that a run's report is in, and look at them."""
    runs = find_runs(folder, folder)
    page_of(runs, again=True)
    write_index(folder.parent, runs.results)
    compared = compare(good, runs.results)
    json.dumps(run_comparison.document(compared), allow_nan=False)
    run_comparison.text(compared)
    (folder / "compared.html").write_text(run_comparison_page.render(compared))
    for path in (folder / "report.html", folder.parent / "index.html", folder / "compared.html"):
        require_harmless(path)
    return ExitCode.OK


def ending_of(verb):
    """The exit code of a verb; whatever is no sentence of the harness's own is raised."""
    try:
        return verb()
    except HarnessError as error:
        return error.exit_code


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("report.json", "started", "2026-11-23T10:38:38"),
        ("report.json", "started", "0001-01-01T00:00:00+00:00"),
        ("report.json", "ended", "9999-12-31T23:59:59+00:00"),
        ("report.json", "ended", "yesterday"),
        ("report.json", "pace", 1e300),
        ("report.json", "versions", {"k0s": "x"}),
        ("report.json", "scenario", "another"),
        ("meta.json", "subnet", "10.0.0.0/31"),
        ("meta.json", "subnet", {}),
    ],
)
def test_a_run_that_cannot_be_is_refused_as_wrong_usage(demo, bundle_file, name, field, value):
    pieces, manifest = demo()
    pieces[name] = json.dumps({**json.loads(pieces[name]), field: value}).encode()
    with pytest.raises(HarnessError) as caught:
        replay_bundle(bundle_file(pieces, manifest), output=None)
    assert caught.value.exit_code is ExitCode.USAGE
