"""Rounds of new TCP connections from a machine to one address.

The reading's text has one line a dial: outcome, seconds, and the words of the machine's own sshd,
which opens the connection. `nc -vz HOST PORT` on the machine is the same look by hand.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from harness.base.places import with_port
from harness.evidence.reading import Reading
from harness.probe.core import DIAL, Probe, TargetProbe, UnreadableError, require_success

# A dial that would need longer is as good as lost: the aggregator itself gives up after 5 s.
DIAL_SECONDS = 5.0
# A path that failed this often is known to be broken; the rest would only cost time.
ENOUGH_FAILURES = 3


@dataclass(frozen=True)
class Dials:
    """How many connections were tried from `machine` and opened, and what ended the others."""

    machine: str
    target: str
    tried: int
    connected: int
    failures: tuple[tuple[str, int], ...]

    @property
    def all_connected(self) -> bool:
        """Whether every dial opened a connection, of at least one."""
        return self.tried > 0 and self.connected == self.tried

    def text(self) -> str:
        """Return the counts in a few words."""
        failed = ", ".join(f"{count} {outcome}" for outcome, count in self.failures)
        way = f"{self.connected} of {self.tried} connections from {self.machine} to {self.target}"
        return f"{way} opened" + (f" ({failed})" if failed else "")


def parse(reading: Reading) -> Dials:
    """Return the counts."""
    _, host, port, _ = reading.argv
    outcomes = [line.split()[0] for line in require_success(reading).splitlines() if line.strip()]
    if not outcomes:
        raise UnreadableError(f"no dial to {with_port(host, port)} was tried")
    counted = Counter(outcomes)
    connected = counted.pop("connected", 0)
    return Dials(
        reading.where,
        with_port(host, port),
        len(outcomes),
        connected,
        tuple(sorted(counted.items())),
    )


PROBE = TargetProbe("dial", parse, deadline=DIAL_SECONDS)


def look(machine: str, host: str, port: int, *, times: int = 1, together: int = 1) -> Probe[Dials]:
    """Return the look that makes `times` new connections from `machine` to `host:port`.

    `together` of them are made side by side, so that a path that drops them costs little time.
    """
    dialled = PROBE.on(machine, with_port(host, port), (DIAL, host, str(port), str(times)))
    return replace(dialled, together=together)
