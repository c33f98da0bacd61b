"""The run of konnectivity-off that tests judge again: its readings, its events, what was known."""

from __future__ import annotations

from dataclasses import replace

from harness.engine.timeline import RUN_SECONDS
from tests.unit.paths import SCENARIOS

SCENARIO = (SCENARIOS / "konnectivity-off.yaml").read_text()
# Of the recorded run, in seconds since it began: when each phase was entered, and when the wait for
# its preconditions began, and when the second one's walk up the ladder did.
ENTERED = {"broken": 113.0, "repaired": 287.0}
WAITED = {"broken": 163.2, "repaired": 309.5}
WALKED = 338.8
MET = {
    "broken": ("pods", "top_nodes", "diagnosis", "apiservice"),
    "repaired": ("top_nodes", "apiservice"),
}
META = {
    "run_id": "20261123-053000-abcd",
    "scenario": "konnectivity-off",
    "title": "Without konnectivity the metrics API is unavailable, and turning it on repairs it",
    "started": "2026-11-23T05:30:00+00:00",
    "folder": "/somewhere",
    "substrate": "three containers sharing a kernel",
    "pace": 1.0,
    "provider": "docker",
    "subnet": "192.168.56.0/24",
    "versions": {"k0s": "v1.32.3+k0s.0"},
    "artifacts": [
        {
            "kind": "k0s",
            "version": "v1.32.3+k0s.0",
            "file_name": "k0s",
            "sha256": "0" * 64,
            "origin": "own-build",
            "source": "import",
        }
    ],
}


def readings_of(recording):
    """Return the whole run's readings.

    That run's engine walked up the ladder when the hold of the second phase began, and read the
    konnectivity server's count right after the round of connections; both are done towards the
    hold's end now, so their last readings stand there as well.
    """
    names = ("settling", "watched-broken", "watched-repaired")
    readings = [each for name in names for each in recording(f"konnectivity-off/{name}")]
    walk = [
        replace(each, elapsed=each.elapsed + 27.0)
        for each in readings
        if WALKED < each.elapsed < WALKED + 7.0 and each.probe not in {"apiservice", "top_nodes"}
    ]
    # The walk looks at the figures as well now: what was seen of them last is what it sees.
    walk.append(replace(_last(readings, "top_nodes"), elapsed=walk[0].elapsed))
    return [*readings, *walk, replace(_last(readings, "tunnel"), elapsed=383.7)]


def _last(readings, probe):
    return [each for each in readings if each.probe == probe][-1]


def events_of(verdicts=None):
    verdicts = verdicts or {}
    for phase, entered in ENTERED.items():
        yield {"event": "phase-entered", "name": phase, RUN_SECONDS: entered}
        ended = {"event": "step-ended", "title": "k0sctl apply", "ok": True, "text": ""}
        yield {**ended, RUN_SECONDS: WAITED[phase]}
        yield {"event": "step-started", "title": "Preconditions", RUN_SECONDS: WAITED[phase]}
        for name in MET[phase]:
            verdict = verdicts.get((phase, name), "met")
            yield {"event": "verdict-reached", "id": name, "verdict": verdict, RUN_SECONDS: 400.0}
