"""What is told while a run goes on."""

from __future__ import annotations

import io
import json
import re
import time

import pytest

from harness.base.printing import put_live, show
from harness.check.model import Verdict
from harness.engine import events
from harness.report.terminal import Narrator
from tests.unit.paths import RECORDINGS
from tests.unit.terminal import Terminal, screen

# Measured on a real cluster: the condition of the APIService with konnectivity off.
UNAVAILABLE = (
    "False FailedDiscoveryCheck failing or missing response from "
    "https://10.110.84.73:443/apis/metrics.k8s.io/v1beta1: "
    'Get "https://10.110.84.73:443/apis/metrics.k8s.io/v1beta1": context deadline exceeded'
)

TOLD = (
    events.StepStarted(events.StepId.APPLY, "k0sctl apply", 600.0),
    events.StepProgress("Waiting for node worker0"),
    events.StepProgress("Waiting for node worker0"),
    events.StepProgress("Waiting for node worker1"),
    events.StepEnded(events.StepId.APPLY, "k0sctl apply", 38.04, ok=True),
    events.PhaseEntered("broken", ("disable konnectivity-server",), ("apiservice unavailable",)),
    events.TransitionSeen(3.24, "apiservice", UNAVAILABLE),
    events.VerdictReached("apiservice", Verdict.MET, "held for 45s"),
    events.StepStarted(events.StepId.TEARDOWN, "Teardown"),
    events.StepEnded(
        events.StepId.TEARDOWN, "Teardown", 127.0, ok=False, text="no answer\nfrom docker"
    ),
)


class StandingClock:
    """Time that passes only when a test says so; whoever sleeps yields to others."""

    def __init__(self):
        self.at = 0.0

    def monotonic(self):
        return self.at

    def now(self):
        raise AssertionError("a live line goes by elapsed time, and not by the date")

    def sleep(self, seconds):
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def a_terminal_of_80_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def clock():
    return StandingClock()


@pytest.fixture
def narrated(clock):
    """A terminal and the narrator that writes to it; no step goes on after the test."""
    stream = Terminal()
    narrator = Narrator(stream, clock=clock)
    yield stream, narrator
    narrator._live._running.clear()
    put_live(stream, ())


def recorded_events():
    """The events of a real run, each with its seconds since the run began."""
    for line in (RECORDINGS / "run-konnectivity-off/timeline.jsonl").read_text().splitlines():
        found = json.loads(line)
        at, name = found.pop("run_seconds"), found.pop("event")
        if name.startswith("step-") and name != "step-progress":
            # Recorded before steps had an id.
            found["step"] = events.StepId.HOST
        if "verdict" in found:
            found["verdict"] = Verdict(found["verdict"])
        kind = getattr(events, "".join(word.title() for word in name.split("-")))
        yield at, kind(**{key: _frozen(value) for key, value in found.items()})


def _frozen(value):
    return tuple(value) if isinstance(value, list) else value


def test_the_narration_has_bounds_before_times_after_and_changes_only():
    stream = io.StringIO()
    narrator = Narrator(stream)
    for event in TOLD:
        narrator(event)
    assert stream.getvalue() == (
        "==> k0sctl apply (at most 10m00s)\n"
        "    Waiting for node worker0\n"
        "    Waiting for node worker1\n"
        "    ok  k0sctl apply in 38s\n"
        "==> Phase broken\n"
        "    change: disable konnectivity-server\n"
        "    expect: apiservice unavailable\n"
        f"      3.2s  apiservice: {UNAVAILABLE}\n"
        "    met  apiservice: held for 45s\n"
        "==> Teardown\n"
        "    FAILED  Teardown in 2m07s: no answer from docker\n"
    )


def test_on_a_terminal_a_step_has_one_line_with_its_time_and_its_bound(narrated, clock):
    stream, narrator = narrated
    for event in TOLD[:4]:
        narrator(event)
    clock.at = 12.0
    narrator(events.StepProgress("Waiting for node worker2"))
    (line,) = screen(stream.getvalue())
    assert line[3:] == "k0sctl apply  12s of at most 10m00s  Waiting for node worker2"
    narrator(TOLD[4])
    assert screen(stream.getvalue()) == [" ✓ k0sctl apply in 38s"]


def test_the_time_of_a_step_goes_on_while_nothing_happens(narrated, clock):
    stream, narrator = narrated
    narrator(TOLD[0])
    clock.at = 7.0
    ends = time.monotonic() + 10
    while "7s of at most" not in stream.getvalue():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_a_recorded_run_leaves_a_line_for_each_phase_step_and_verdict(narrated, clock):
    stream, narrator = narrated
    for clock.at, event in recorded_events():
        narrator(event)
        shown = screen(stream.getvalue())
        assert all(len(line) <= 80 for line in shown)
        # At most the last one is still going on.
        assert not any(line[1] not in "✓h" for line in shown[:-1])
    assert shown[:6] == [
        " ✓ Artifacts in 0.5s",
        " ✓ 3 machines through Vagrant (docker) in 13s",
        "Phase broken",
        " ✓ k0sctl apply in 56s",
        " ✓ Preconditions in 20s",
        " ✓ pods, reached after 0s",
    ]
    assert shown[9:11] == [
        " ✓ Observe broken in 90s",
        "Phase repaired: turn konnectivity-server on",
    ]
    assert len(shown) == 18


def test_several_runs_have_a_line_each_that_says_whose_it_is(narrated, clock):
    stream, narrator = narrated
    narrator(TOLD[0], "one")
    narrator(TOLD[0], "two")
    narrator(TOLD[4], "one")
    ended, going_on = screen(stream.getvalue())
    assert ended == " ✓ one: k0sctl apply in 38s"
    assert going_on[3:] == "two: k0sctl apply  0s of at most 10m00s"


def test_of_steps_in_a_step_the_innermost_is_shown_and_then_the_outer_one_again(narrated, clock):
    stream, narrator = narrated
    narrator(events.StepStarted(events.StepId.TAKE_BACK, "Take back"))
    narrator(TOLD[0])
    assert screen(stream.getvalue())[-1][3:].startswith("k0sctl apply")
    narrator(TOLD[4])
    assert screen(stream.getvalue())[-1][3:].startswith("Take back")


def test_what_is_printed_meanwhile_stands_above_the_line(narrated, clock, monkeypatch):
    stream, narrator = narrated
    narrator(TOLD[0])
    monkeypatch.setattr("sys.stdout", stream)
    show("data")
    assert screen(stream.getvalue())[0] == "data"
    assert screen(stream.getvalue())[1][3:].startswith("k0sctl apply")
    narrator(TOLD[4])


def test_a_failure_is_never_cut_off(narrated, clock):
    stream, narrator = narrated
    text = "no answer " * 20
    narrator(TOLD[8])
    narrator(events.StepEnded(events.StepId.TEARDOWN, "Teardown", 9.0, ok=False, text=text))
    assert screen(stream.getvalue()) == [f" ✗ Teardown in 9.0s: {text.strip()}"]


def test_colours_are_for_terminals_that_want_them(narrated, monkeypatch):
    stream, narrator = narrated
    monkeypatch.delenv("NO_COLOR")
    narrator(TOLD[7])
    assert stream.getvalue() == "\x1b[32m ✓ \x1b[0mapiservice, held for 45s\n"


def test_no_color_leaves_no_colour(narrated, clock):
    stream, narrator = narrated
    for event in TOLD:
        narrator(event)
    assert set(re.findall(r"\x1b\[[0-9]*(.)", stream.getvalue())) == {"K"}


@pytest.mark.parametrize("why", ["verbose", "dumb", "no terminal"])
def test_every_line_of_a_log_is_there_for_whoever_wants_it(why, monkeypatch):
    if why == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    stream = io.StringIO() if why == "no terminal" else Terminal()
    narrator = Narrator(stream, verbose=why == "verbose")
    for event in TOLD:
        narrator(event)
    assert "\x1b" not in stream.getvalue()
    assert f"      3.2s  apiservice: {UNAVAILABLE}\n" in stream.getvalue()
