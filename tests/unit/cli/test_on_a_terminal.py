"""Commands on a pseudo-terminal, as a person starts them, and the same ones with a pipe."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from harness.base.printing import Code
from tests.unit.paths import DEMO
from tests.unit.terminal import screen

REPLAY = ("replay", str(DEMO))
DIAGNOSE = ("diagnose", "--bundle", str(DEMO), "--phase", "broken")


def on_terminal(*arguments, **environment):
    """Return the exit code and all that was written to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    wanted = {"TERM": "xterm", "COLUMNS": "80", "PYTHONUTF8": "1", **environment}
    command = [sys.executable, "-m", "harness.cli", *arguments]
    unset = {"NO_COLOR"} - set(environment)
    with subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**{key: each for key, each in os.environ.items() if key not in unset}, **wanted},
    ) as process:
        os.close(theirs)
        said = b""
        while piece := _read(ours):
            said += piece
        os.close(ours)
    return process.returncode, said.decode()


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:
        # How Linux says that nobody has it open any more.
        return b""


def test_a_replay_ends_with_at_most_twelve_lines_and_the_exit_code():
    code, said = on_terminal(*REPLAY)
    lines = screen(said)
    assert code == 0
    assert lines[0] == "Phase broken"
    assert lines[1] == " ✓ Preconditions in 26s"
    assert lines[-1] == "k0s-harness: exit 0: done"
    first = next(at for at, line in enumerate(lines) if line.startswith("✓ konnectivity-off: met"))
    assert len(lines) - 1 - first <= 12
    assert any(line.startswith("remedy     enable konnectivity") for line in lines)
    assert f"{Code.GREEN} ✓ {Code.PLAIN}" in said


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_whoever_wants_no_colours_gets_none(environment):
    code, said = on_terminal(*DIAGNOSE, **environment)
    assert code == 1
    assert "no-route-to-service-network (high confidence)" in said
    assert "\x1b[" not in said


def test_a_diagnosis_is_cause_proof_and_remedy_and_verbose_has_every_hop():
    code, said = on_terminal(*DIAGNOSE)
    lines = screen(said)
    assert (code, lines[0]) == (1, "✗ cause: no-route-to-service-network (high confidence)")
    assert len(lines) <= 13
    assert "all hops   the same command with --verbose" in lines
    _, verbose = on_terminal(*DIAGNOSE, "--verbose")
    piped = subprocess.run(
        [sys.executable, "-m", "harness.cli", *DIAGNOSE],
        check=False,
        capture_output=True,
        text=True,
    )
    assert piped.stdout in verbose.replace("\r\n", "\n")
    assert piped.stdout.startswith("cause: no-route-to-service-network")
    assert "\x1b" not in piped.stdout + piped.stderr
