"""How long each worker's kubelet has run: one that began lately need not know its pods yet."""

from __future__ import annotations

from harness.evidence.reading import Reading
from harness.probe.core import Asked, MachineProbe, UnreadableError, require_success


def parse(reading: Reading) -> int:
    """Return the seconds of the youngest, for one that is about to end may still be there."""
    seconds = [int(each) for each in require_success(reading).split()]
    if not seconds:
        raise UnreadableError(f"no kubelet runs on {reading.where}")
    return min(seconds)


PROBE = MachineProbe(
    "kubelet_process", ("ps", "-C", "kubelet", "-o", "etimes="), parse, Asked.WORKERS
)
