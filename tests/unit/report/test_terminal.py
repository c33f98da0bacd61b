"""What is told while a run goes on."""

from __future__ import annotations

import io

from harness.check.model import Verdict
from harness.engine import events
from harness.report.terminal import Narrator

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


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


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


def test_on_a_terminal_progress_is_overwritten_and_never_left_standing(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    narrator = Narrator(stream)
    for event in TOLD[:5]:
        narrator(event)
    assert stream.getvalue() == (
        "==> k0sctl apply (at most 10m00s)\n"
        "\r\x1b[2K    Waiting for nod"
        "\r\x1b[2K    Waiting for nod"
        "\r\x1b[2K    ok  k0sctl apply in 38s\n"
    )


def test_colours_are_for_terminals_that_want_them(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    Narrator(stream)(TOLD[7])
    assert stream.getvalue() == "    \x1b[32mmet\x1b[0m  apiservice: held for 45s\n"
