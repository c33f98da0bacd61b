"""A run in a process of its own, for tests that kill it: makes a lab, says how far it is, waits.

Arguments: state folder, run folder, number of machines, provider (docker without one), and any word
where the machines are to be made with a seed that no image has yet. Prints one JSON object a line.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from made_seed import made_seed

from harness.base.context import Context
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.lab.lab import bring_up
from harness.lab.reservation import reserve
from harness.providers import registry
from harness.providers.substrate import LabRequest
from harness.providers.topology import MachineSpec
from harness.vocabulary.words import Role


def say(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def main() -> int:
    state, folder, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    settings = replace(
        Settings.from_environment(os.environ, providers=registry.names()),
        state_dir=state,
        runs_dir=folder,
    )
    host = Context(LocalRunner(), SystemClock(), settings)
    provider = sys.argv[4] if len(sys.argv) > 4 else "docker"
    # A shell without job control starts what goes to the background with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with reserve(
            host,
            scenario="integration",
            provider=provider,
            narrate=lambda step, detail: say(step=step, detail=detail),
        ) as place:
            say(run_id=place.run_id)
            machines = tuple(
                MachineSpec(f"worker{index}", Role.WORKER, str(place.subnet[10 + index]))
                for index in range(count)
            )
            seed = None
            if len(sys.argv) > 5:
                folder.mkdir(parents=True, exist_ok=True)
                seed = made_seed(folder, place.run_id)
            # Software emulation is to be had everywhere.
            lab = bring_up(place, LabRequest(machines, folder, seed=seed, emulated=True))
            lab.remote("worker0").run(["true"], doing="Looking", deadline=10)
            say(up=lab.run_id)
            sys.stdin.read()
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
