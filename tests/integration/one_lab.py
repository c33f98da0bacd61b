"""A run in a process of its own, for tests that kill it: makes a lab, says how far it is, waits.

Arguments: state folder, run folder, number of machines. Prints one JSON object a line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from harness.lab.lab import Host
from harness.lab.lab import LabRequest
from harness.lab.lab import bring_up
from harness.lab.lab import reserve
from harness.lab.topology import MachineSpec
from harness.process import LocalRunner
from harness.scenario.words import Role
from harness.settings import ProviderName
from harness.settings import Settings
from harness.wait import SystemClock


def say(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def main() -> int:
    state, folder, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    settings = Settings(state_dir=state, cache_dir=state / "cache", runs_dir=folder)
    host = Host(LocalRunner(), SystemClock(), settings)
    try:
        with reserve(
            host,
            scenario="integration",
            provider=ProviderName.DOCKER,
            narrate=lambda step, detail: say(step=step, detail=detail),
        ) as place:
            say(run_id=place.run_id)
            machines = tuple(
                MachineSpec(f"worker{index}", Role.WORKER, str(place.subnet[10 + index]))
                for index in range(count)
            )
            lab = bring_up(place, LabRequest(machines, folder))
            lab.remote("worker0").run(["true"], doing="Looking", deadline=10)
            say(up=lab.run_id)
            sys.stdin.read()
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
