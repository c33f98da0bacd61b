"""How much slower than this host a lab's machines are, measured: every bound is scaled by it.

Machines under software emulation take many times as long for the same work, and how many depends
on the host and on what else runs. So the same loop is timed here and, at once, on all machines of
the lab, as they will compete for the host's processors when k0s starts.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.base.process import Runner
from harness.ssh.remote import Remote

# 0.12 s on a processor of today: long enough for /proc/uptime's hundredths, and short under
# emulation. Half of it is calls of the kernel, which emulation slows down more than arithmetic.
# Plain sh, so that it is the same program on both sides.
LOOP = """\
read -r began _ </proc/uptime
i=0
while [ "$i" -lt 30000 ]; do i=$((i + 1)); done
while [ "$i" -lt 33000 ]; do i=$((i + 1)); read -r _ </proc/loadavg; done
read -r ended _ </proc/uptime
echo "$began $ended"
"""
# 2-5 s under emulation.
LOOP_SECONDS = 120.0
# Until the machines are there to be measured: by hand, a cluster under emulation took 550 s where
# one of containers took 85-115 s, on the same two processors.
EMULATED = 5.0
# With their own kernel on this host's processors machines are a little slower, and emulated ones
# many times.
SLOW = 2.0
# Below what a look may be late without being a gap (15 s), with what the look itself takes.
SELDOM_SECONDS = 10.0
DOING = "Measuring how fast the machines are"


def on_host(runner: Runner) -> float:
    """Return the seconds the loop takes on this host."""
    return seconds(runner.run(["sh", "-c", LOOP], doing=DOING, deadline=LOOP_SECONDS).stdout)


def on_machine(remote: Remote) -> float:
    """Return the seconds the loop takes on a machine, by the machine's own clock."""
    return seconds(remote.run(["sh", "-c", LOOP], doing=DOING, deadline=LOOP_SECONDS).stdout)


def seconds(text: str) -> float:
    """Return the time between the two uptimes that the loop printed."""
    began, ended = (float(word) for word in text.split())
    return ended - began


def is_slow(pace: float) -> bool:
    """Whether machines are as slow as emulated ones: what waits for them has to wait longer."""
    return pace >= SLOW


def between_looks(every: float, pace: float) -> float:
    """Return the seconds between two looks at machines that are `pace` times slower.

    The looking itself weighs there: each starts a few programs on every machine, and every kubectl
    begins with the whole discovery, 2 s of an emulated processor. It must not be what keeps a
    cluster from settling.
    """
    return min(every * pace, SELDOM_SECONDS)


def factor(host: float, machines: Sequence[float]) -> float:
    """Return how many times slower than the host the slowest machine is, at least 1."""
    return max(1.0, round(max(machines) / max(host, 0.01), 1))
