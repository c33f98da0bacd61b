"""The catalogue: what each scenario shows, and what its last real runs came to."""

import hashlib
import json
from pathlib import Path

import pytest

from harness import cli
from harness.cli import catalogue as verb
from harness.engine.replay import A_REPLAY
from harness.report import catalogue
from harness.scenario.load import load_all
from tests.unit.paths import PROJECT

# The report of a real run, from before reports said which text of the scenario they are of.
REPORT = json.loads(
    (PROJECT / "tests/recordings/run-konnectivity-off/report.json").read_text("utf-8")
)
NAME = REPORT["scenario"]
TEXT = (
    "format: k0s-harness/1\nname: {name}\ntitle: {title}\nphases:\n"
    "- name: only\n  expect: [{{pods: {{selector: a=b, ready: 1}}}}]\n"
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one scenario, konnectivity-off, that has no run."""
    monkeypatch.chdir(tmp_path)
    for name in ("scenarios", "docs"):
        (tmp_path / name).mkdir()
    write("konnectivity-off")
    return tmp_path


def write(name, title="T"):
    path = Path("scenarios", f"{name}.yaml")
    path.write_text(TEXT.format(name=name, title=title))
    return path


def report_of(run_id="r1", outcome="met", ended="2026-11-23T16:54:06+00:00", **more):
    """The report of a run of the scenario as it stands now."""
    text = Path("scenarios/konnectivity-off.yaml").read_bytes()
    return {
        **REPORT,
        "run_id": run_id,
        "outcome": outcome,
        "ended": ended,
        "not_entered": [],
        "scenario_sha256": hashlib.sha256(text).hexdigest(),
        **more,
    }


def runs_of(*reports):
    return catalogue.with_reports({}, reports)


def page(*reports):
    scenarios = [each for path in sorted(Path("scenarios").glob("*")) for each in load_all(path)]
    return catalogue.render(scenarios, runs_of(*reports))


def line_of(text, name="konnectivity-off"):
    (found,) = [line for line in text.splitlines() if line.startswith(f"| [{name}]")]
    return found


def row(text, name="konnectivity-off"):
    return [cell.strip() for cell in line_of(text, name).strip("|").split("|")]


def test_a_scenario_without_a_run_is_said_to_have_none(project):
    assert row(page())[2:] == ["**not run**", ""]
    assert "No scenario has been run." in page()


def test_a_run_is_listed_with_what_it_came_to_when_and_on_what(project):
    link, title, last, in_a_row = row(page(report_of()))
    assert link == "[konnectivity-off](../scenarios/konnectivity-off.yaml)"
    assert title == "T"
    assert last == "met in 6m00s, 2026-11-23, three containers sharing this host's kernel"
    assert in_a_row == "1 met"


def test_what_the_run_was_made_of_is_listed_with_checksums_and_origin(project):
    text = page(report_of())
    for used in REPORT["artifacts"]:
        assert (
            f"| {used['kind']} | v1.32.3+k0s.0 | `{used['sha256']}` | built from source |" in text
        )


@pytest.mark.parametrize("outcome", ["not-met", "inconclusive", "infrastructure", "interrupted"])
def test_a_last_run_that_was_not_met_stands_out_and_nothing_is_in_a_row(project, outcome):
    good = report_of("r1", ended="2026-11-23T16:54:06+00:00")
    bad = report_of("r2", outcome, ended="2026-11-23T17:54:06+00:00")
    assert row(page(good, bad))[2].startswith(f"**{outcome}** in ")
    assert row(page(good, bad))[3] == "0 met"


def test_a_scenario_that_was_changed_since_its_last_run_is_said_to_be(project):
    run = report_of()
    assert "changed since" not in row(page(run))[2]
    write("konnectivity-off", title="Another")
    assert row(page(run))[2].endswith("; **changed since**")


def test_runs_in_a_row_are_of_the_same_text_and_end_at_the_first_that_was_not_met(project):
    def at(hour, outcome="met", **more):
        return report_of(f"r{hour}", outcome, f"2026-11-23T{hour:02d}:59:43+00:00", **more)

    assert row(page(at(6), at(7), at(8)))[3] == "3 met"
    assert row(page(at(6), at(7, "not-met"), at(8), at(9)))[3] == "2 met"
    assert row(page(at(6, scenario_sha256="0" * 64), at(7), at(8)))[3] == "2 met"


def test_runs_on_each_kind_of_machine_are_counted_and_kept_by_themselves(project):
    def on(substrate, minute, outcome="met"):
        ended = f"2026-11-23T17:{minute:02d}:06+00:00"
        return report_of(f"r{minute}", outcome, ended, substrate=substrate)

    on_vms = [on("three VMs", minute) for minute in range(8, 14)]
    reports = [on("containers", 6), on("containers", 7), on("three VMs", 5, "not-met"), *on_vms]
    text = page(*reports)
    assert "2026-11-23, three VMs" in row(text)[2]
    assert row(text)[3] == "6 met"
    below = text.splitlines()[text.splitlines().index(line_of(text)) + 1]
    assert below == "| | | met in 19m00s, 2026-11-23, containers | 2 met |"


def test_a_report_taken_twice_is_one_run_and_the_order_is_that_of_time(project):
    first = report_of("r1", "not-met", "2026-11-23T06:00:00+00:00")
    last = report_of("r2", "met", "2026-11-23T07:00:00+00:00")
    (kept,) = runs_of(last, first, last).values()
    assert [each.run_id for each in kept] == ["r1", "r2"]


def test_the_log_has_a_page_for_each_month_and_a_row_for_each_run_in_order_of_time(project):
    late = report_of("r3", ended="2026-12-01T00:30:00+01:00")
    pages = catalogue.log(
        runs_of(
            report_of("r2", "not-met"), report_of("r1", ended="2026-11-23T05:00:00+00:00"), late
        )
        | {"another": runs_of(report_of("r4", ended="2026-12-01T05:00:00+00:00"))[NAME]}
    )
    assert list(pages) == ["2026-11.md", "2026-12.md"]
    rows = [line.split(" | ") for line in pages["2026-11.md"].splitlines()[6:]]
    assert [(row[0], row[1], row[2], row[-1]) for row in rows] == [
        ("| 2026-11-23 05:00", NAME, "met", "r1 |"),
        ("| 2026-11-23 16:54", NAME, "**not-met**", "r2 |"),
        ("| 2026-11-30 23:30", NAME, "met", "r3 |"),
    ]
    assert rows[1][3:7] == [
        *("6m00s", "three containers sharing this host's kernel"),
        *("v1.32.3+k0s.0", "own-build"),
    ]
    assert "| another | met |" in pages["2026-12.md"]


def test_the_log_is_written_beside_the_page_and_an_edited_one_is_stale(project, capsys):
    Path("report.json").write_text(json.dumps(report_of()))
    assert cli.main(["catalogue", "report.json"]) == 0
    page = verb.LOG / "2026-11.md"
    page.write_text(page.read_text().replace("6m00s", "1m00s"))
    assert cli.main(["catalogue", "--check"]) == 1
    assert (
        "not what the scenarios and their runs say: docs/log/2026-11.md" in capsys.readouterr().err
    )


def test_runs_are_read_back_as_they_were_written(project):
    runs = runs_of(report_of())
    Path("runs.json").write_text(catalogue.runs_text(runs))
    assert catalogue.read_runs(Path("runs.json")) == runs
    assert catalogue.read_runs(Path("missing.json")) == {}


def test_a_bar_in_a_title_ends_no_cell(project):
    write("konnectivity-off", title="a | b")
    assert "| a \\| b |" in page()


def test_every_variant_of_a_matrix_has_a_row_of_its_own(project):
    path = write("sized", title="With ${n}")
    path.write_text(path.read_text().replace("title:", "matrix: {n: [1, 2]}\ntitle:"))
    text = page()
    assert row(text, "sized-1")[:2] == ["[sized-1](../scenarios/sized.yaml)", "With 1"]
    assert row(text, "sized-2")[1] == "With 2"


def test_the_page_is_written_and_then_fresh_until_something_changes(project, capsys):
    assert cli.main(["catalogue", "--check"]) == 1
    assert not verb.PAGE.exists()
    assert cli.main(["catalogue"]) == 0
    assert cli.main(["catalogue", "--check"]) == 0
    write("another")
    assert cli.main(["catalogue", "--check"]) == 1
    assert "k0s-harness catalogue writes it again" in capsys.readouterr().err
    assert "another" not in verb.PAGE.read_text()


def test_a_page_that_somebody_edited_is_not_what_it_would_be(project):
    cli.main(["catalogue"])
    text = verb.PAGE.read_text()
    verb.PAGE.write_text(text.replace("**not run**", "met"))
    assert cli.main(["catalogue", "--check"]) == 1


def test_runs_are_taken_from_their_reports(project):
    Path("report.json").write_text(json.dumps(report_of()))
    assert cli.main(["catalogue", "report.json"]) == 0
    assert row(verb.PAGE.read_text())[3] == "1 met"
    (run,) = json.loads(verb.RUNS.read_text())["konnectivity-off"]
    assert run["run_id"] == "r1"
    # They stay there: the report itself is not wanted again.
    Path("report.json").unlink()
    assert cli.main(["catalogue", "--check"]) == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"run_id": "r1"}', "[1"])
def test_what_is_no_report_is_usage_and_changes_nothing(project, capsys, text):
    Path("report.json").write_text(text)
    assert cli.main(["catalogue", "report.json"]) == 2
    assert "this is no report.json of a run" in capsys.readouterr().err
    assert not verb.PAGE.exists()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"not_entered": ["repaired"]}, "a part of the scenario was not run: repaired"),
        ({"substrate": f"{A_REPLAY}run r1"}, "it is of a replay, in which nothing ran"),
    ],
)
def test_what_proves_nothing_of_the_whole_scenario_is_never_listed(project, capsys, said, why):
    Path("report.json").write_text(json.dumps(report_of(**said)))
    assert cli.main(["catalogue", "report.json"]) == 2
    assert why in capsys.readouterr().err
    assert not verb.PAGE.exists()


def test_a_failure_that_kept_later_phases_from_being_entered_is_listed_as_one(project):
    failed = report_of(outcome="infrastructure", not_entered=["repaired"])
    Path("report.json").write_text(json.dumps(failed))
    assert cli.main(["catalogue", "report.json"]) == 0
    assert row(verb.PAGE.read_text())[2].startswith("**infrastructure** in ")


@pytest.mark.parametrize("text", ["", "[]", '{"x": 1}', '{"x": [{"run_id": "r1"}]}'])
def test_a_list_of_runs_that_is_none_is_usage(project, capsys, text):
    verb.RUNS.write_text(text)
    assert cli.main(["catalogue"]) == 2
    assert "this is not a list of runs" in capsys.readouterr().err


@pytest.mark.parametrize(
    "field", ["run_id", "ended", "outcome", "substrate", "versions", "scenario"]
)
@pytest.mark.parametrize("odd", [None, 5, [], {}, ["x"], {"k0s": []}, 1e300])
def test_a_report_with_a_field_of_another_type_is_wrong_usage(project, capsys, field, odd):
    Path("report.json").write_text(json.dumps(report_of(**{field: odd})))
    fine = field == "versions" and odd == {}
    assert cli.main(["catalogue", "report.json"]) == (0 if fine else 2)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{" * 5000,
        '{"x": 5}',
        '{"x": [5]}',
        '{"x": [{"run_id": 1}]}',
        '{"konnectivity-off": [{"run_id": [], "seconds": 1e999}]}',
        "\ud800",
    ],
)
def test_a_list_of_runs_that_is_none_is_wrong_usage(project, capsys, text):
    Path("scenarios/runs.json").write_text(text, errors="surrogatepass")
    assert cli.main(["catalogue"]) == 2
    assert "Traceback" not in capsys.readouterr().err
